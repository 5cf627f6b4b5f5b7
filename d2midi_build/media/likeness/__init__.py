"""The same pictures twice: a video uploaded again, mirrored, cropped, framed, at another size or frame rate.

What is kept of a video is how much moves where: a map of some 250 cells, ten times a second. Two videos of one
studio, dancer and music differ in it as soon as they show two dances.
"""

from d2midi_build.media.likeness.copies import Copy, find_copies
from d2midi_build.media.likeness.signature import MotionCollector, MotionSignature

__all__ = ["Copy", "MotionCollector", "MotionSignature", "find_copies"]
