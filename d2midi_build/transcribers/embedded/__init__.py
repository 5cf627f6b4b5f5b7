"""The default transcriber: two small networks of our own on top of basic-pitch's activations.

The first hears everything that might be a note, the second judges all of it together: pitches, twelve
instruments and five kinds of drum. They were trained on synthetic music only (``d2midi models
train-embedded``; `PROVENANCE` says on what), so on real recordings they are less good than their figures,
and so are their probabilities.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.digests import sha256_file
from d2midi_build.engine.base import Report
from d2midi_build.music.audio import checked
from d2midi_build.music.notes import Notes
from d2midi_build.transcribers.base import Transcriber

if TYPE_CHECKING:
    from d2midi_build.transcribers.embedded.decode import Calibration
    from d2midi_build.transcribers.embedded.model import Model

_FOLDER: Final = Path(__file__).parent
WEIGHTS: Final = _FOLDER / "embedded.onnx"
NOTE_WEIGHTS: Final = _FOLDER / "notes.onnx"
CALIBRATION: Final = _FOLDER / "calibration.json"
PROVENANCE: Final = _FOLDER / "provenance.json"


def create(**options: Any) -> Embedded:
    """The transcriber; ``folder`` is its only option."""
    return Embedded(**options)


class Embedded(Transcriber):
    """Pitches, instruments and drums.

    ``p_note`` is calibrated on synthetic music with a soundfont that neither the training nor the tests use,
    ``p_instrument`` on that one and the training ones. ``velocity`` follows the level of each note among those of its
    instrument, the median being 80. Drums are written as 36, 38, 42, 45 or 49.

    Parameters
    ----------
    folder : Path, optional
        Holds ``embedded.onnx``, ``notes.onnx`` and ``calibration.json``; by default the package's.
    """

    name: ClassVar[str] = "embedded"
    version: ClassVar[str] = "2"

    def __init__(self, folder: Path | None = None) -> None:
        self._files = tuple((folder or _FOLDER) / path.name for path in (WEIGHTS, NOTE_WEIGHTS, CALIBRATION))
        self._loaded: tuple[Model, Calibration] | None = None

    def model_digests(self) -> dict[str, str]:
        """SHA-256 of all networks and of the calibration."""
        from d2midi_build.transcribers.basic_pitch import model_file

        return {path.name: sha256_file(path) for path in (model_file(), *self._files)}

    def load(self) -> None:
        """Read all networks (3-6 s of CPU, once)."""
        from d2midi_build.transcribers.embedded.decode import Calibration
        from d2midi_build.transcribers.embedded.model import Model

        if self._loaded is None:
            weights, note_weights, rules = self._files
            self._loaded = Model(weights, note_weights), Calibration.load(rules)

    def transcribe(
        self, audio: npt.NDArray[np.float32], sample_rate_hz: int, progress: Report | None = None
    ) -> Notes:
        """Notes and drums; see `Transcriber.transcribe`."""
        from d2midi_build.transcribers.embedded.decode import notes_of

        audio = checked(audio, sample_rate_hz)
        self.load()
        assert self._loaded is not None
        model, calibration = self._loaded
        heard = model.hear(audio, sample_rate_hz)
        if heard is None:
            return Notes.empty()
        return notes_of(heard.found, heard.drums, heard.frame, calibration, len(audio) / sample_rate_hz)
