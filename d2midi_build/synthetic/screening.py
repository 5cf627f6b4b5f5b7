"""Videos that screening has to judge, with what is true of them: known people, background, cuts, sound.

`CASES` says what there is; a case and a seed give a video, always the same, and its rows of truth in the
columns of tests/real_data/screening_truth.csv. ``python -m d2midi_build.synthetic.screening FOLDER`` writes
all of them and ``truth.csv``. Dancers strike a pose on every beat and the band plays at their tempo from
their first beat on, unless the case is about that. There is no slate in the picture or the sound.

What a verdict means: good, a curator who wants one dancer, a pure background, the whole body and clear
music would surely take it; bad, surely not; unclear, a person has to decide. Cuts and length are no fault
by themselves: a verdict is about what lies between the cuts.
"""

from __future__ import annotations

import argparse
import csv
import logging
import multiprocessing
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import soundfile

from d2midi_build.errors import PermanentError
from d2midi_build.synthetic.screening_cases import CASES as CASES
from d2midi_build.synthetic.screening_cases import Case as Case
from d2midi_build.synthetic.screening_cases import case_named
from d2midi_build.synthetic.soundtracks import RATE_HZ
from d2midi_build.synthetic.staging import edges, pictures, sound, timing
from d2midi_build.synthetic.videos import Shape, encode

_IN_TIME_S: Final = 0.05

_log = logging.getLogger(__name__)

COLUMNS: Final = (
    *("file", "source", "start_s", "end_s", "verdict", "people", "body", "background", "camera", "picture"),
    *("sound", "clipped", "cuts_s", "remark"),
    *("sync", "case", "seed", "bpm_dance", "bpm_music", "shift_s", "beats_per_pose", "copy_of", "music_of"),
)
"""Those of the table of real videos, then what only a drawn video knows."""


def write_case(folder: Path, case: Case, seed: int) -> Path:
    """Draw a video and write it; the file appears when it is whole, and one that is there stays.

    Parameters
    ----------
    folder : Path
        Exists.
    case : Case
    seed : int
        Another seed, another video of the kind.

    Returns
    -------
    Path
        ``<folder>/<case>-<seed>.mp4``.

    Raises
    ------
    PermanentError
        If ffmpeg fails.
    """
    path = folder / _file(case.name, seed)
    if path.is_file():
        return path
    original = case_named(case.copy_of) if case.copy_of else case
    times = np.arange(round(original.duration_s * original.fps)) / original.fps
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as making:
        wave, video = Path(making) / "sound.wav", Path(making) / "video.mp4"
        samples = sound(case, seed)
        if samples is not None:
            soundfile.write(wave, samples, RATE_HZ, subtype="PCM_16")
        shape = Shape(fps=Fraction(original.fps), size_px=original.size_px)
        crf = 33 if case.treat == "recode" else 22
        encode(video, shape, pictures(case, seed), times, wave if samples is not None else None, crf)
        video.replace(path)
    return path


def truth_rows(case: Case, seed: int) -> list[dict[str, str]]:
    """What is true of a video, in the columns ``COLUMNS``; two rows if a cut changes it.

    Cuts are in the row in which they lie or which they open.
    """
    original = case_named(case.copy_of) if case.copy_of else case
    when = timing(case, seed)
    cuts = [f"{frame / original.fps:.3f}" for frame in edges(case, seed)[1:-1]]
    labels = ("verdict", "people", "body", "background", "camera", "picture", "sound", "clipped", "remark")
    row = dict.fromkeys(COLUMNS, "") | {label: getattr(case, label) for label in labels}
    row |= {"file": _file(case.name, seed), "source": f"synthetic/{case.family}"}
    row |= {"case": case.name, "seed": str(seed), "cuts_s": ";".join(cuts)}
    if original.cast not in ("nobody", "standing") and original.grade != "frozen":
        row |= {"bpm_dance": f"{when.bpm_dance:.3f}", "beats_per_pose": f"{original.beats_per_pose:g}"}
    if case.sound.startswith("music"):
        row |= {"bpm_music": f"{when.bpm_music:.3f}"}
    if row["bpm_dance"] and row["bpm_music"]:
        row["shift_s"] = f"{when.shift_s:.3f}"
        in_time = "yes" if abs(when.shift_s) < _IN_TIME_S else ""  # with a shift the two still keep one tempo
        row["sync"] = in_time if when.bpm_dance == when.bpm_music else "no"
    row["copy_of"] = _file(case.copy_of, seed) if case.copy_of else ""
    row["music_of"] = _file(case.music_of, seed) if case.music_of else ""
    if not case.after:
        return [row]
    end = {"start_s": cuts[0], "end_s": f"{case.duration_s:.3f}"}
    return [row | {"start_s": "0", "end_s": cuts[0], "cuts_s": ""}, row | dict(case.after) | end]


def make_cases(folder: Path, seeds: Sequence[int], workers: int = 1, cases: Sequence[Case] = CASES) -> Path:
    """Write all videos that are not there yet, and their truth.

    Parameters
    ----------
    folder : Path
        Made if need be.
    seeds : sequence of int
        One video per case and seed.
    workers : int
        Processes beside each other. Default is 1: this one.
    cases : sequence of Case
        Default is all.

    Returns
    -------
    Path
        ``<folder>/truth.csv``, of these cases and seeds.

    Raises
    ------
    PermanentError
        If a video could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(case, seed) for seed in seeds for case in cases]
    if workers <= 1:
        _write_all(folder, jobs)
    else:
        context = multiprocessing.get_context("spawn")
        shares = [context.Process(target=_write_all, args=(folder, jobs[k::workers])) for k in range(workers)]
        for process in shares:
            process.start()
        for process in shares:
            process.join()
        if any(process.exitcode for process in shares):
            raise PermanentError(f"not all screening videos could be written to {folder}; run it again")
    path = folder / "truth.csv"
    draft = folder / ".truth.csv"
    with draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for case, seed in jobs for row in truth_rows(case, seed))
    draft.replace(path)
    return path


def _write_all(folder: Path, jobs: Iterable[tuple[Case, int]]) -> None:
    cv2.setNumThreads(1)
    for case, seed in jobs:
        _log.info("%s", write_case(folder, case, seed).name)


def _file(name: str, seed: int) -> str:
    return f"{name}-{seed}.mp4"


def _main() -> None:
    parser = argparse.ArgumentParser(description="Write synthetic videos for screening, and truth.csv.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make_cases(chosen.folder, chosen.seeds, chosen.workers)


if __name__ == "__main__":
    _main()
