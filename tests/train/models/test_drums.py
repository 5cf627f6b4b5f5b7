"""The decoder of drums: where quads stand, what each may know, and that what is drawn is music."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from d2midi_build.music.instruments import DRUM
from d2midi_build.music.notes import Notes
from d2midi_build.train.models.drums import DrumDecoder, Places, sample
from d2midi_build.train.tokens.grammar import Grammar
from d2midi_build.train.tokens.quad import Tokens, decode, encode
from d2midi_build.train.tokens.vocabulary import EOS, FIRST_CHORD, FIRST_POSITION, MEASURE, PAD

FEATURES = 5


def decoder(seed: int = 0, **sizes: Any) -> DrumDecoder:
    torch.manual_seed(seed)
    return DrumDecoder(FEATURES, **({"width": 16, "layers": 1, "heads": 2} | sizes)).eval()


def hits(steps: list[int], pitch: int = 36, bars: int = 4) -> torch.Tensor:
    """Quads of hits of one step each, shape (1, n, 4)."""
    at_s = np.array(steps) / 16
    notes = Notes.create(at_s, at_s + 1 / 16, pitch, is_drum=True)
    return torch.from_numpy(encode(notes, bars).quads.astype(np.int64))[None]


def dance(batch: int = 1, seed: int = 0, n_frames: int = 160) -> torch.Tensor:
    return torch.randn(batch, n_frames, FEATURES, generator=torch.Generator().manual_seed(seed))


def test_quads_stand_at_their_measure_and_position_and_know_the_steps_since_the_last_one() -> None:
    # BOS m H NT p3 n p11 n m H NT p1 n m H m H EOS
    places = Places.of(hits([3, 11, 33])[..., 0])
    assert places.begin[0].tolist() == [0] * 8 + [32] * 5 + [64, 64, 96, 96, 96]
    assert places.step[0].tolist() == [-1, -1, -1, -1, 3, 3, 11, 11, -1, -1, -1, 1, 1, -1, -1, -1, -1, -1]
    assert places.gap[0].tolist() == [0, 0, 0, 0, 32, 32, 8, 8, 0, 0, 0, 22, 22, 0, 0, 0, 0, 0]
    last = places.last()
    assert (last.begin.tolist(), last.step.tolist(), last.gap.tolist()) == ([[96]], [[-1]], [[0]])


def test_the_next_hit_is_somewhere_after_this_one_or_nowhere_in_the_measure() -> None:
    model, quads = decoder(), hits([3, 11, 33])
    places = Places.of(quads[..., 0])
    heard = model.hear(dance())
    where, nowhere = model._hits(heard, model.states(heard, quads, places), places)
    total = where.double().exp().sum(-1) + nowhere[..., 0].double().exp()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)
    assert where[0, 7, :12].exp().max() == 0  # after the note at step 11
    assert where[0, 7, 12:].exp().min() > 0
    assert where[0, 3].exp().min() > 0  # after NT all are possible


def test_after_a_hit_on_the_last_step_the_measure_is_over() -> None:
    model, quads = decoder(), hits([31])
    places = Places.of(quads[..., 0])
    heard = model.hear(dance())
    logits = model.events(heard, model.states(heard, quads, places), places)[0, 5]
    assert quads[0, 5, 0] == 40  # the note
    chances = logits.softmax(-1)
    assert chances[FIRST_POSITION:FIRST_CHORD].sum() == 0
    assert chances[MEASURE] > 0
    assert chances[EOS] > 0


def test_no_quad_knows_those_after_it() -> None:
    model = decoder()
    one, other = hits([3, 11, 33]), hits([3, 11, 33])
    other[0, 12:] = hits([3, 11, 33, 40], pitch=38)[0, 12:18]
    first, second = model.losses(dance(), one)[0], model.losses(dance(), other)[0]
    torch.testing.assert_close(first[:11], second[:11])
    assert (first[11:] - second[11:]).abs().max() > 1e-3


def test_a_step_knows_sixteen_frames_of_the_dance_on_each_side_and_no_more() -> None:
    model, given = decoder(), dance()
    changed = given.clone()
    changed[:, 100] += 1.0
    different = (model.hear(given) - model.hear(changed)).abs().sum(-1)[0].nonzero()[:, 0]
    # Frames 84 to 116 know it; step s lies between frames 1.25 s and the next.
    assert 1.25 * int(different.min()) > 83
    assert 1.25 * int(different.max()) < 117
    assert int(different.min()) <= 68
    assert int(different.max()) >= 92
    assert model.hear(given).shape == (1, 128, 16)


def test_padding_costs_nothing_and_changes_nothing() -> None:
    model, quads = decoder(), hits([3, 11, 33])
    padded = torch.cat([quads, torch.full((1, 6, 4), PAD)], dim=1)
    plain, longer = model.losses(dance(), quads)[0], model.losses(dance(), padded)[0]
    torch.testing.assert_close(longer[: len(plain)], plain)
    assert longer[len(plain) :].abs().max() == 0


def test_a_note_costs_its_four_attributes_and_other_quads_their_event() -> None:
    model, quads = decoder(), hits([3])
    places, heard = Places.of(quads[:, :-1, 0]), model.hear(dance())
    state = model.states(heard, quads[:, :-1], places)
    event = model.events(heard, state, places).log_softmax(-1)[0]
    rest = [each.log_softmax(-1)[0] for each in model.rest(state, quads[:, 1:, 0])]
    found = model.losses(dance(), quads)[0]
    for place, quad in enumerate(quads[0, 1:].tolist()):
        wanted = -event[place, quad[0]]
        if quad[1] != PAD:
            wanted = wanted - sum(each[place, number] for each, number in zip(rest, quad[1:], strict=True))
        torch.testing.assert_close(found[place], wanted)


def test_what_is_drawn_is_music_by_the_grammar_and_the_same_for_the_same_generator() -> None:
    model, given = decoder(), dance(3)

    def drawn() -> list[Any]:
        grammars = [Grammar([DRUM], n_bars=2, max_quads=60) for _ in range(3)]
        found = sample(model, given, grammars, np.random.default_rng(4))
        assert all(grammar.finished for grammar in grammars)
        return found

    first, again = drawn(), drawn()
    for quads, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(quads, same)
        assert len(quads) <= 60
        Grammar([DRUM], n_bars=2, max_quads=60).extend(quads)
        assert decode(Tokens(quads)).is_drum.all()
    assert len({quads.tobytes() for quads in first}) > 1


def test_hits_are_learnt_from_the_dance_alone_within_few_updates() -> None:
    """Hits at random: nothing that was played tells the next one, the dance tells all of them."""
    rng = np.random.default_rng(0)
    quads, dances = [], torch.zeros(48, 160, FEATURES)
    for row in range(48):
        steps = np.sort(rng.choice(128, 16, replace=False))
        quads.append(hits(steps.tolist())[0])
        dances[row, np.round(steps * 1.25).astype(int), 0] = 1.0
    batch = torch.zeros(48, max(map(len, quads)), 4, dtype=torch.int64)
    for row, each in enumerate(quads):
        batch[row, : len(each)] = each
    model = decoder(width=32)
    adam = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(80):
        rows = torch.arange(8 * step, 8 * step + 8) % 40
        loss = model.losses(dances[rows], batch[rows]).mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    with torch.no_grad():
        own = model.losses(dances[40:], batch[40:]).sum(1)
        other = model.losses(dances[40:].roll(1, 0), batch[40:]).sum(1)
    # Each of 16 hits among 128 steps: by chance about 3 nats each.
    assert float(own.mean()) < 0.6 * float(other.mean())


@pytest.mark.parametrize("bars", [1, 4])
def test_whatever_the_decoder_all_measures_are_drawn(bars: int) -> None:
    grammar = Grammar([DRUM], n_bars=bars, max_quads=2 + 2 * bars)  # room for empty measures only
    (quads,) = sample(decoder(3), dance(), [grammar], np.random.default_rng(0))
    assert (quads[:, 0] == MEASURE).sum() == bars
    assert len(quads) == 2 + 2 * bars
