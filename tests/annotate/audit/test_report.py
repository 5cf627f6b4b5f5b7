"""What audits say, by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from d2midi_build.annotate.audit.record import Audits, BlindResult, PlantedResult
from d2midi_build.annotate.audit.report import Audit, audit, label_error
from d2midi_build.annotate.audit.undoing import Outcome
from d2midi_build.annotate.corrections import Correction, Corrections, withdrawal
from d2midi_build.annotate.layering import Layered, notes_of
from d2midi_build.music.notes import Notes
from tests.annotate.making import labelled, later, row

HEARD = [row(10 + k, 60 + k, 0.5, "Violin") for k in range(8)] + [row(18.5, 36, 0.1, "Drum")]
"""Eight notes and a drum in the seconds from 10 to 20, as people wrote them down."""

MACHINE = [
    *HEARD[:4],
    later(HEARD[4], 0.03),
    later(HEARD[5], 0.1),  # too late: missed, and invented
    labelled(HEARD[6], "Piccolo"),
    *HEARD[8:],
    row(12.5, 90),
    row(25.0, 91),  # of no concern: outside
]
"""As the machine heard them: note 7 is missing."""


NOTHING = Corrections()

AT = "2026-11-26T12:00:00+00:00"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def results(n: int, sources: int, by: str = "ada") -> tuple[list[BlindResult], dict[str, Notes]]:
    """So many excerpts of so many sources, all alike."""
    clips = [f"v{k % sources}_{k // sources:08d}" for k in range(n)]
    written = [BlindResult(clip, 10, 20, by, AT, tuple(HEARD)) for clip in clips]
    return written, dict.fromkeys(clips, notes_of(MACHINE))


def test_label_error_is_what_people_wrote_against_what_the_machine_heard() -> None:
    found = label_error(*results(10, 5), NOTHING, rng())
    assert (found.n_excerpts, found.n_sources, found.lacking) == (10, 5, "")
    measured = found.measured
    assert measured is not None
    scores = measured.likeness.scores
    # Of 8 pitched notes the machine has 6 (0 to 4, and 6), and 8 itself; the drum both.
    assert (scores["onset"].precision, scores["onset"].recall) == (6 / 8, 6 / 8)
    assert scores["onset_instrument"].f1.value == 5 / 8
    assert scores["drums"].f1.value == 1
    assert scores["notes"].f1.value == pytest.approx(14 / 18)
    assert measured.likeness.same_instrument.value == pytest.approx(5 / 6)
    assert measured.missed_per_minute.value == pytest.approx(2 * 6)
    assert measured.invented_per_minute.value == pytest.approx(2 * 6)
    assert (measured.missed_per_minute.low, measured.missed_per_minute.high) == pytest.approx((12, 12))
    assert measured.onset_median_s.value == 0
    assert measured.onset_p95_s.value == pytest.approx(0.03, abs=1e-4)


def test_drums_of_one_class_are_alike_in_excerpts() -> None:
    """Their roll has one row for a class, whatever key the machine writes."""
    written, machine = results(10, 5)
    drums = {35: 36, 40: 38, 44: 42}
    kit = [row(35.0 + k, pitch=key, instrument="Drum") for k, key in enumerate(drums)]
    heard = {clip: notes_of(kit) for clip in machine}
    people = [
        replace(each, start_s=30, end_s=40, rows=tuple(r._replace(pitch=drums[r.pitch]) for r in kit))
        for each in written
    ]
    found = label_error(people, heard, NOTHING, rng()).measured
    assert found is not None
    assert found.likeness.scores["drums"].f1.value == 1


def test_of_too_few_excerpts_or_sources_nothing_is_said_but_how_many_are_needed() -> None:
    for n, sources in ((9, 9), (10, 4), (0, 1)):
        found = label_error(*results(n, sources), NOTHING, rng())
        assert found.measured is None
        assert found.lacking == (f"{n} excerpts from {min(n, sources)} sources; 10 from 5 are needed")
        assert found.data()["measured"] is None
    written, machine = results(9, 9)
    twice = [*written, *results(9, 9, "bob")[0]]
    assert label_error(twice, machine, NOTHING, rng()).n_excerpts == 9, (
        "nine excerpts, whoever wrote them down"
    )
    written, machine = results(10, 5)
    del machine[written[0].clip_id]
    assert label_error(written, machine, NOTHING, rng()).n_excerpts == 9, (
        "of a clip that is not there any more"
    )


def corrected(by: str, at: str, sheet: str) -> Correction:
    return Correction(sheet, by, at, "heard", "midi", "", Layered({}, {}, {}))


def n_seen(written: BlindResult, *lines: Correction) -> tuple[int, int]:
    """How many results count, and how many do not."""
    found = label_error([written], {written.clip_id: Notes.empty()}, Corrections(lines), rng())
    return found.n_excerpts, found.n_seen


@pytest.mark.parametrize(
    ("by", "at", "sheet", "seen"),
    [
        ("Ada ", "2026-11-26T11:59:59+00:00", "v_00000000_s001", True),
        ("ada", "2026-11-26T13:30:00+02:00", "v_00000000_s001", True),
        ("ada", "2026-11-26T11:59:59", "v_00000000_s001", True),
        ("ada", "a while ago", "v_00000000_s001", True),
        ("ada", "2026-11-26T11:00:00+00:00", "v_00000000_s000", True),
        ("ada", "2026-11-26T11:00:00+00:00", "v_00000000_s002", False),
        ("ada", "2026-11-26T11:00:00+00:00", "w_00000000_s001", False),
        ("bob", "2026-11-26T11:00:00+00:00", "v_00000000_s001", False),
        ("ada", AT, "v_00000000_s001", False),
        ("ada", "2026-11-26T12:30:00+01:00", "v_00000000_s001", True),
        ("ada", "2026-11-26T13:30:00+01:00", "v_00000000_s001", False),
    ],
)  # fmt: skip
def test_who_had_corrected_the_same_seconds_before_did_not_write_them_down_blind(
    by: str, at: str, sheet: str, seen: bool
) -> None:
    # The excerpt begins in the 2 s of the second sheet that the first one shows as well.
    written = BlindResult("v_00000000", 31, 41, "ada", AT, tuple(HEARD))
    line = corrected(by, at, sheet)
    assert n_seen(written, line) == ((0, 1) if seen else (1, 0))
    assert n_seen(written, withdrawal(line, "2027-01-01T00:00:00+00:00")) == (1, 0), "withdrawn later only"
    assert n_seen(written, line, withdrawal(line, "2027-01-01T00:00:00+00:00"))[1] == seen


def test_excerpts_end_where_the_next_sheet_is_shown() -> None:
    line = corrected("ada", "2026-11-26T11:00:00+00:00", "v_00000000_s001")
    for start, seen in ((17, False), (18, False), (19, True), (51, True), (61, True), (62, False)):
        written = BlindResult("v_00000000", start, start + 10, "ada", AT, ())
        assert n_seen(written, line)[1] == seen, start
    assert n_seen(BlindResult("v_00000000", 31, 41, "ada", "some time", ()), line) == (0, 1)


def test_results_that_do_not_count_are_told() -> None:
    written, machine = results(10, 5)
    line = corrected("ada", "2025-01-01", f"{written[0].clip_id}_s000")
    found = label_error(written, machine, Corrections([line]), rng())
    assert (found.n_excerpts, found.n_seen, found.measured) == (9, 1, None)
    assert found.data()["seen_before"] == 1
    both = label_error([*written, *results(10, 5, "bob")[0]], machine, Corrections([line]), rng())
    assert (both.n_excerpts, both.n_seen) == (10, 1), "bob had not seen it"


def test_the_interval_tells_how_sources_differ() -> None:
    written, machine = results(20, 10)
    for each in written[:5]:
        machine[each.clip_id] = notes_of(HEARD)
    measured = label_error(written, machine, NOTHING, rng()).measured
    assert measured is not None
    missed = measured.missed_per_minute
    assert missed.value == pytest.approx(9)
    assert missed.low is not None and missed.high is not None and missed.low < 9 < missed.high <= 12


def test_a_machine_that_hears_nothing_has_no_precision_and_one_that_invents_no_recall() -> None:
    written, machine = results(10, 5)
    nothing = label_error(written, dict.fromkeys(machine, Notes.empty()), NOTHING, rng()).measured
    assert nothing is not None
    assert nothing.likeness.scores["notes"].precision is None
    assert nothing.likeness.scores["notes"].recall == 0
    assert nothing.onset_median_s.value is None
    assert nothing.missed_per_minute.value == pytest.approx(54)
    silent = [BlindResult(each.clip_id, 10, 20, "ada", AT, ()) for each in written]
    only = label_error(silent, machine, NOTHING, rng()).measured
    assert only is not None
    assert only.likeness.scores["notes"].recall is None
    assert only.invented_per_minute.value == pytest.approx(54)


def planted(by: str, sheet: int, *outcomes: Outcome) -> PlantedResult:
    return PlantedResult(f"v_00000000_s{sheet:03d}", "all", by, "2026", outcomes)


def told() -> Audit:
    return audit(
        Audits(
            (
                planted("ada", 0, Outcome(1, "onset", True, True), Outcome(2, "onset", True, False)),
                planted("Ada", 1, Outcome(1, "pitch", False, False)),
                planted("bob", 0, Outcome(1, "onset", False, False)),
            )
        ),
        {},
        NOTHING,
        rng(),
    )


def test_recall_is_of_each_person_and_of_all() -> None:
    found = told()
    ada, bob = found.people
    assert (ada.by, ada.n_tasks, ada.found.k, ada.found.n, ada.mended.k) == ("Ada", 2, 2, 3, 1)
    assert {kind: (share.k, share.n) for kind, share in ada.by_kind.items()} == {
        "onset": (2, 2),
        "pitch": (0, 1),
    }
    assert (bob.found.k, bob.found.n) == (0, 1)
    assert (found.recall.by, found.recall.n_tasks, found.recall.found.k, found.recall.found.n) == (
        "",
        3,
        2,
        4,
    )
    # Clopper and Pearson of 2 of 3: the beta quantiles .025 of (2, 2) and .975 of (3, 1), which is .975 ** (1 / 3).
    assert ada.found.interval[1] == pytest.approx(0.975 ** (1 / 3))
    assert ada.found.interval[0] == pytest.approx(0.0943, abs=1e-4)


def test_a_release_is_told_no_names() -> None:
    found = told()
    assert "bob" in json.dumps(found.data())
    assert "bob" not in json.dumps(found.published()) and "Ada" not in json.dumps(found.published())
    assert found.published()["recall"]["found"] == {
        "n": 2,
        "of": 4,
        "value": 0.5,
        "low": pytest.approx(0.0676, abs=1e-4),
        "high": pytest.approx(0.9324, abs=1e-4),
    }
