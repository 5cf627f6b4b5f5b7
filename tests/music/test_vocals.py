"""Where a voice is, which notes are its, and what the policies make of them."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build import clock
from d2midi_build.errors import PermanentError
from d2midi_build.music import vocals
from d2midi_build.music.notes import Notes
from d2midi_build.music.vocals import Voice, find_voice
from d2midi_build.recipe import Recipe
from d2midi_build.stages.base import stage
from d2midi_build.stages.transcribe import decide
from d2midi_build.synthetic.band import compose, render
from d2midi_build.synthetic.singer import sing

RATE_HZ = clock.SAMPLE_RATE_HZ
SECONDS = 12.0


def _voice(*stretches: tuple[float, float], seconds: float = 4.0, sure: float = 0.95) -> Voice:
    """A voice in some stretches of sound."""
    probability = np.full(round(seconds * clock.FPS), 0.05, np.float32)
    for start_s, end_s in stretches:
        probability[round(start_s * clock.FPS) : round(end_s * clock.FPS)] = sure
    return Voice(probability, np.ones(len(probability), np.bool_))


def test_a_voice_alone_is_heard_and_a_band_alone_is_not() -> None:
    alone = sing(np.random.default_rng(900), SECONDS, RATE_HZ) * np.float32(0.1)
    band = render(compose(np.random.default_rng(901), 110.0, SECONDS, 0.2), RATE_HZ)
    alone_share, band_share = find_voice(alone, RATE_HZ).share, find_voice(band, RATE_HZ).share
    assert alone_share is not None and band_share is not None
    assert alone_share > 0.5
    assert band_share < 0.3


def test_a_voice_over_a_band_is_heard_where_it_is() -> None:
    band = render(compose(np.random.default_rng(902), 110.0, SECONDS, 0.2), RATE_HZ).mean(axis=1)
    voice = sing(np.random.default_rng(903), SECONDS, RATE_HZ)
    half = len(voice) // 2
    voice[:half] = 0
    mixed = band / np.sqrt(np.mean(band**2)) + 2 * voice
    heard = find_voice((0.1 * mixed).astype(np.float32), RATE_HZ).probability
    edge = clock.FPS
    middle = len(heard) // 2
    assert heard[middle + edge :].mean() > heard[: middle - edge].mean() + 0.3


def test_level_offset_rate_and_channels_do_not_decide() -> None:
    voice = sing(np.random.default_rng(904), 6.0, 44_100) * np.float32(0.1)
    expected = find_voice(voice, 44_100).share
    assert expected is not None
    for changed in (voice * np.float32(1e-3), voice * np.float32(50), voice + np.float32(0.4)):
        assert find_voice(changed, 44_100).share == pytest.approx(expected, abs=0.05)
    assert find_voice(np.stack([voice, voice], axis=1), 44_100).share == pytest.approx(expected, abs=1e-3)
    low = sing(np.random.default_rng(904), 6.0, 8_000) * np.float32(0.1)
    assert (find_voice(low, 8_000).share or 0) > 0.5


@pytest.mark.parametrize("n_samples", [0, 1, 511, 5_000])
def test_too_little_sound_tells_nothing(n_samples: int) -> None:
    assert find_voice(np.full(n_samples, 0.1, np.float32), RATE_HZ).share is None


def test_silence_tells_nothing() -> None:
    assert find_voice(np.zeros(10 * RATE_HZ, np.float32), RATE_HZ).share is None
    assert find_voice(np.full(10 * RATE_HZ, 0.3, np.float32), RATE_HZ).share is None


def test_samples_that_are_not_numbers() -> None:
    with pytest.raises(PermanentError, match="not numbers"):
        find_voice(np.full(RATE_HZ, np.nan, np.float32), RATE_HZ)


def test_pieces_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = render(compose(np.random.default_rng(905), 110.0, SECONDS, 0.2), RATE_HZ)
    whole = find_voice(sound, RATE_HZ)
    monkeypatch.setattr(vocals, "_PIECE_FRAMES", 3 * clock.FPS)
    pieces = find_voice(sound, RATE_HZ)
    assert np.abs(pieces.probability - whole.probability).max() < 1e-3
    assert np.array_equal(pieces.sounding, whole.sounding)


def test_share_is_of_the_sounding_time() -> None:
    voice = _voice((0.0, 1.0))
    assert voice.share == pytest.approx(0.25, abs=0.02)
    half = Voice(voice.probability, np.arange(80) < 40)
    assert half.share == pytest.approx(0.5, abs=0.03)


NOTES = Notes.create(
    onset_s=[0.0, 0.0, 0.5, 2.5, 0.2, 0.5],
    offset_s=[0.5, 0.5, 1.0, 3.0, 0.3, 1.0],
    pitch=[64, 52, 67, 65, 38, 96],
    program=[0, 0, 24, 0, 0, 0],
    is_drum=[False, False, False, False, True, False],
    p_note=0.6,
    p_instrument=0.4,
    origin="t",
)


def test_the_highest_singable_notes_under_a_voice_are_sung() -> None:
    likely = vocals.sung(NOTES, _voice((0.0, 2.0)))
    # Not 52, under 64; not 65, where nobody sings; not the drum; not 96, which nobody can sing.
    assert sorted(NOTES.pitch[likely > 0].tolist()) == [64, 67]
    assert likely[likely > 0] == pytest.approx(0.95)


def test_drop_leaves_them_out_lead_hands_them_over_review_only_says_so() -> None:
    likely = vocals.sung(NOTES, _voice((0.0, 2.0)))
    assert sorted(vocals.apply(NOTES, likely, "drop").pitch.tolist()) == [38, 52, 65, 96]

    lead = vocals.apply(NOTES, likely, "lead")
    theirs = lead.where(lead.origin == "t/voice")
    assert sorted(theirs.pitch.tolist()) == [64, 67]
    assert set(theirs.instrument) == {"Lead 1 (square)"}
    assert theirs.p_instrument == pytest.approx(0.95)
    assert theirs.p_note == pytest.approx(0.6)
    assert len(lead) == len(NOTES)

    review = vocals.apply(NOTES, likely, "review")
    assert sorted(review.pitch[review.origin == "t/voice"].tolist()) == [64, 67]
    assert "Lead 1 (square)" not in review.instrument
    assert np.array_equal(review.onset_s, NOTES.onset_s)
    assert vocals.count(likely) == 2


@pytest.mark.parametrize("policy", ["drop", "lead", "review"])
def test_without_a_voice_or_without_notes_nothing_changes(policy: vocals.Policy) -> None:
    assert vocals.apply(NOTES, vocals.sung(NOTES, _voice()), policy) == NOTES
    nothing = Notes.empty()
    assert len(vocals.apply(nothing, vocals.sung(nothing, _voice((0, 4))), policy)) == 0


@pytest.mark.parametrize(
    ("share", "policy", "status"),
    [
        (0.51, "review", "review"),
        (0.5, "review", "accept"),
        (None, "review", "accept"),
        (0.9, "lead", "accept"),
    ],
)
def test_the_verdict_follows_from_the_stored_share(share: float | None, policy: str, status: str) -> None:
    decision = decide({"vocal_share": share}, Recipe().with_field("transcribe.vocals", policy))
    assert decision.status == status
    assert decision.reasons == (("singing",) if status == "review" else ())


def test_a_new_limit_runs_nothing_again_and_a_new_policy_does() -> None:
    described = stage("transcribe")
    key = described.key(Recipe(), {})
    assert described.key(Recipe().with_field("transcribe.vocals_review_above", 0.9), {}) == key
    assert described.key(Recipe().with_field("transcribe.vocals", "drop"), {}) != key
