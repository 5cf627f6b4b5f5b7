"""Training of the embedded transcriber.

``data`` makes examples, ``crops`` and ``described`` draw from them what the two networks of ``network`` learn from,
``fitting`` fits them, ``calibration`` makes probabilities of what they say, and
``training`` runs it all.
"""

from typing import Final

N_PIECES: Final = 1000
N_CALIBRATION: Final = 100
N_BATCHES: Final = 1100
N_DRUM_BATCHES: Final = 1000
N_NOTE_BATCHES: Final = 2000
"""How much the embedded weights were trained."""
