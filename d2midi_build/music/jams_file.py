"""Notes and beats as JAMS, the JSON format of music annotations (Humphrey et al., ISMIR 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes


def to_jams(
    notes: Notes,
    duration_s: float,
    title: str,
    provenance: Mapping[str, Any],
    beats_s: npt.ArrayLike = (),
    positions: npt.ArrayLike = (),
    confidences: npt.ArrayLike = (),
    about_beats: Mapping[str, Any] | None = None,
) -> str:
    """A JAMS file: a ``note_midi`` annotation per instrument that occurs, and one of ``beat`` if beats are known.

    An observation's confidence is that of the note, instrument included. What the namespace has no place for
    lies in the annotation's sandbox: instrument and program, and lists that go along with the data (velocity,
    program, p_note, p_instrument, origin). The same notes give the same bytes.

    Parameters
    ----------
    notes : Notes
        Seconds from the clip's first frame.
    duration_s : float
        Length of the clip.
    title : str
    provenance : mapping
        What the notes come from; goes into the file's sandbox as ``d2midi``.
    beats_s, positions, confidences : array_like, shape (n,), optional
        Beats in seconds, the place of each in its bar (0 unknown), and how sure each is (0-1).
    about_beats : mapping, optional
        Goes into the sandbox of the beats, e.g. tempo and method.

    Returns
    -------
    str
        JSON, valid by JAMS' own schema.

    Raises
    ------
    jams.exceptions.SchemaError
        If the file is not valid; that would be a bug here.
    """
    import jams

    file = jams.JAMS()
    file.file_metadata.title = title
    file.file_metadata.duration = duration_s
    file.sandbox.d2midi = dict(provenance)
    ordered = notes.sorted()
    for instrument in INSTRUMENTS:
        mine = ordered.where(ordered.instrument == instrument.name)
        if not len(mine):
            continue
        lists = {
            name: getattr(mine, name).tolist()
            for name in ("velocity", "program", "p_note", "p_instrument", "origin")
        }
        annotation = _annotation(
            "note_midi",
            duration_s,
            sandbox={
                "instrument": instrument.name,
                "instrument_program": instrument.program,
                "is_drum": instrument.is_drum,
                **lists,
            },
        )
        confidence = mine.confidence.tolist()
        lengths = (mine.offset_s - mine.onset_s).tolist()
        # Data keep their order among equal times, so the sandbox's lists go along.
        for row in zip(mine.onset_s.tolist(), lengths, mine.pitch.tolist(), confidence, strict=True):
            annotation.append(**dict(zip(("time", "duration", "value", "confidence"), row, strict=True)))
        file.annotations.append(annotation)
    times_s = np.asarray(beats_s, dtype=np.float64)
    if len(times_s):
        annotation = _annotation("beat", duration_s, sandbox=about_beats or {})
        columns = [each.tolist() for each in (times_s, np.asarray(positions), np.asarray(confidences))]
        for time_s, position, sure in zip(*columns, strict=True):
            annotation.append(time=time_s, duration=0.0, value=position or None, confidence=sure)
        file.annotations.append(annotation)
    file.validate(strict=True)
    return str(file.dumps()) + "\n"


def _annotation(namespace: str, duration_s: float, sandbox: Mapping[str, Any]) -> Any:
    import jams

    about = jams.AnnotationMetadata(
        corpus="d2midi", data_source="program", annotation_tools=f"d2midi {version('d2midi')}"
    )
    annotation = jams.Annotation(namespace, annotation_metadata=about, time=0.0, duration=duration_s)
    annotation.sandbox.update(**sandbox)
    return annotation
