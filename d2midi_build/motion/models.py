"""The model files that MediaPipe brings; found and digested without importing it, which takes seconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from d2midi_build.digests import sha256_file

HOLISTIC_FILES: Final = (
    "face_detection/face_detection_short_range.tflite",
    "face_landmark/face_landmark_with_attention.tflite",
    "hand_landmark/hand_landmark_full.tflite",
    "hand_landmark/handedness.txt",
    "holistic_landmark/hand_recrop.tflite",
    "holistic_landmark/holistic_landmark_cpu.binarypb",
    "pose_detection/pose_detection.tflite",
    "pose_landmark/pose_landmark_full.tflite",
)
"""Files that ``holistic`` opens (watched with inotify)."""

PEOPLE_FILES: Final = ("pose_detection/pose_detection.tflite",)
"""Files that ``people`` opens."""

LOOKS_FILES: Final = (
    *PEOPLE_FILES,
    "selfie_segmentation/selfie_segmentation.tflite",
    "selfie_segmentation/selfie_segmentation_cpu.binarypb",
)
"""Files that ``looks`` opens: the people's, and the mask's of ``body_view``."""


def digests(files: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of model files by their path under ``mediapipe/modules``.

    Raises
    ------
    FileNotFoundError
        If the installed MediaPipe lacks one: another version than 0.10.21.
    """
    found = importlib.util.find_spec("mediapipe")
    if found is None or found.origin is None:
        raise FileNotFoundError("mediapipe is not installed")
    modules = Path(found.origin).parent / "modules"
    return {name: sha256_file(modules / name) for name in files}
