"""Screening of the real files against what is true of them: with the recipe's thresholds, and held out by source."""

from __future__ import annotations

from pathlib import Path

import pytest

from d2midi_build.recipe import Recipe
from d2midi_build.screening.calibration import Calibration, calibrate
from d2midi_build.screening.truth import read_truth
from d2midi_build.trial import measure

TRUTH = Path(__file__).with_name("screening_truth.csv")


@pytest.fixture(scope="module")
def found(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    cases, unmeasured = measure(
        read_truth(TRUTH, shared_data), tmp_path_factory.mktemp("trial") / "w", Recipe()
    )
    return calibrate(cases, Recipe(), unmeasured)


@pytest.mark.real_data
def test_nothing_bad_is_accepted_and_nothing_good_rejected(found: Calibration) -> None:
    assert found.unmeasured == () and found.n_rows == 36
    for confusion in (found.decision, found.held_out):
        assert confusion.share("bad", "accept").k == 0, confusion.wrong
        assert confusion.share("good", "reject").k == 0, confusion.wrong
        assert confusion.review.k <= found.n_rows / 4


@pytest.mark.real_data
def test_cuts_are_found_but_for_slides_and_plain_colours(found: Calibration) -> None:
    assert found.cuts.found.n - found.cuts.found.k == 7 + 4
    assert [each.rpartition("/")[2] for each in found.cuts.invented] == ["2.mp4 at 9.33 s"]
