"""Who is compared with whom for chance."""

from __future__ import annotations

import numpy as np

from d2midi_build.train.metrics.chance import Identity, re_pair


def _clips(n: int) -> list[Identity]:
    """Clips, three of each video, of three genres and many tempi; every tenth video has the music of the one before."""
    rng = np.random.default_rng(0)
    return [
        Identity(
            (f"v{i // 3}", f"m{i // 3 - (i // 3 % 10 == 9)}"),
            f"genre{i // 3 % 3}",
            float(rng.uniform(80, 160)),
        )
        for i in range(n)
    ]


def test_partners_are_other_sources_of_the_genre_and_tempo() -> None:
    clips = _clips(600)
    found = re_pair(clips, clips, np.random.default_rng(0), 8)
    for clip, partners, matched in zip(clips, found.partners, found.tempo_matched, strict=True):
        assert len(partners) == len(set(partners)) >= 1
        for other in (clips[place] for place in partners):
            assert not set(other.apart) & set(clip.apart)
            assert other.stratum == clip.stratum
            close = abs((other.tempo_bpm or 0) / (clip.tempo_bpm or 1) - 1) <= 0.04
            assert close == matched
    assert found.n_derangements == 8
    assert found.n_pairs > 600 * 7


def test_without_the_tempo_the_nearest_is_taken() -> None:
    clips = [Identity((name,), "house", bpm) for name, bpm in [("a", 120.0), ("b", 100.0), ("c", 140.0)]]
    found = re_pair(clips, clips, np.random.default_rng(0))
    assert found.partners == ((2,), (0,), (0,))  # in ratio 140 is nearer to 120 than 100 is
    assert found.tempo_matched == (False, False, False)


def test_tempi_within_four_percent_are_the_same() -> None:
    of = [Identity(("a",), "house", 100.0)]
    others = [Identity((name,), "house", bpm) for name, bpm in [("b", 104.0), ("c", 104.1), ("d", 96.0)]]
    (partners,) = re_pair(of, others, np.random.default_rng(0)).partners
    assert set(partners) == {0, 2}


def test_unknown_tempi_pair_with_any_and_unknown_music_is_not_the_same_music() -> None:
    clips = [Identity((name, ""), "house", bpm) for name, bpm in [("a", None), ("b", 100.0), ("c", None)]]
    found = re_pair(clips, clips, np.random.default_rng(0))
    assert set(found.partners[0]) == {1, 2}
    assert set(found.partners[1]) == {0, 2}
    assert found.tempo_matched == (False, False, False)


def test_a_genre_of_one_source_has_no_partner() -> None:
    clips = [
        Identity(("a",), "house", 100.0),
        Identity(("a",), "house", 100.0),
        Identity(("b",), "ballet", 100.0),
    ]
    found = re_pair(clips, clips, np.random.default_rng(0))
    assert found.partners == ((), (), ())
    assert (found.n_derangements, found.n_pairs) == (0, 0)
    assert re_pair(clips, [], np.random.default_rng(0)).partners == ((), (), ())


def test_the_same_seed_gives_the_same_pairs() -> None:
    clips = _clips(90)
    first, again, other = (re_pair(clips, clips, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again != other
