"""The points MediaPipe Holistic finds, by name and number, and how they hang together.

Names and order are MediaPipe's own (lower case):

- body: https://github.com/google-ai-edge/mediapipe/blob/v0.10.21/mediapipe/python/solutions/pose.py
- hand: https://github.com/google-ai-edge/mediapipe/blob/v0.10.21/mediapipe/python/solutions/hands.py
- edges: ``pose_connections.py`` and ``hands_connections.py`` beside them

The lists stand here, not in an import, so that a reader of a release needs no MediaPipe.
"Left" is the dancer's left.
"""

from __future__ import annotations

from typing import Final

BODY_NAMES: Final = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
)
"""Names of the 33 body points, in order."""

HAND_NAMES: Final = (
    "wrist",
    "thumb_cmc",
    "thumb_mcp",
    "thumb_ip",
    "thumb_tip",
    "index_finger_mcp",
    "index_finger_pip",
    "index_finger_dip",
    "index_finger_tip",
    "middle_finger_mcp",
    "middle_finger_pip",
    "middle_finger_dip",
    "middle_finger_tip",
    "ring_finger_mcp",
    "ring_finger_pip",
    "ring_finger_dip",
    "ring_finger_tip",
    "pinky_mcp",
    "pinky_pip",
    "pinky_dip",
    "pinky_tip",
)
"""Names of the 21 points of a hand, in order."""

LIMBS: Final = tuple(
    BODY_NAMES.index(f"{side}_{name}")
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""The 12 joints of limbs and trunk: no face, no fingers, no toes; left and right alternate."""

SHOULDERS: Final = (BODY_NAMES.index("left_shoulder"), BODY_NAMES.index("right_shoulder"))
HIPS: Final = (BODY_NAMES.index("left_hip"), BODY_NAMES.index("right_hip"))

N_BODY: Final = len(BODY_NAMES)
N_HAND: Final = len(HAND_NAMES)
N_FACE: Final = 478
"""468 points of the face mesh, then 5 of each iris; they have numbers and no names."""

BODY_EDGES: Final = (
    (0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10),
    (11, 12), (11, 23), (12, 24), (23, 24),
    (11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19),
    (12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20),
    (23, 25), (25, 27), (27, 29), (27, 31), (29, 31),
    (24, 26), (26, 28), (28, 30), (28, 32), (30, 32),
)  # fmt: skip
"""Pairs of body points to join when drawing: face, torso, left arm, right arm, left leg, right leg."""

HAND_EDGES: Final = (
    (0, 1), (1, 2), (2, 3), (3, 4),
    (0, 5), (5, 6), (6, 7), (7, 8),
    (5, 9), (9, 10), (10, 11), (11, 12),
    (9, 13), (13, 14), (14, 15), (15, 16),
    (13, 17), (0, 17), (17, 18), (18, 19), (19, 20),
)  # fmt: skip
"""Pairs of hand points to join when drawing: thumb, index, middle, ring, little finger with the palm."""

BODY_PAIRS: Final = (
    (1, 4), (2, 5), (3, 6), (7, 8), (9, 10),
    (11, 12), (13, 14), (15, 16), (17, 18), (19, 20), (21, 22),
    (23, 24), (25, 26), (27, 28), (29, 30), (31, 32),
)  # fmt: skip
"""(left, right) body points; a mirrored dancer has them swapped. The nose (0) has no partner."""
