"""The same music twice: re-encoded, cut differently, at another speed or pitch.

``music_features`` keeps of a video's sound what is needed, ``find_repeats`` compares takes: first by chromaprint's
hashes, then by outlines of short windows and, where these are alike, by laying the two over each other.
docs/limits.md says what is not found; ``benchmarks/repeats.py`` prints the figures.
"""

from d2midi_build.music.fingerprints.repeats import Repeat, find_repeats
from d2midi_build.music.fingerprints.spectrum import MusicFeatures, music_features

__all__ = ["MusicFeatures", "Repeat", "find_repeats", "music_features"]
