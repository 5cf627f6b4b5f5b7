"""What MediaPipe Holistic says about a synthetic dancer, beside the truth.

``python -m tests.synthetic.holistic [SECONDS]`` prints the accuracy by yaw and the cost of a rendered frame.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np

from d2midi_build.clock import FPS
from d2midi_build.motion.skeleton import LIMBS
from d2midi_build.synthetic import accuracy
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera, render

CAMERA = Camera.framing(640, 640)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Predicted and true landmarks, and the share of frames with a body, left hand, right hand, face."""

    pred_xy: Array
    true_xy: Array
    pred_world: Array
    true_world: Array
    found: Array


def compare(seed: int, bpm: float, duration_s: float, yaw_deg: float, look: int) -> Comparison:
    """Run MediaPipe over a dance at the clock's rate, with the settings the pipeline uses."""
    import mediapipe as mp

    times = np.arange(int(duration_s * FPS)) / FPS
    dance = choreograph(np.random.default_rng(seed), bpm, duration_s, yaw_deg, look=look)
    stage = dance.landmarks(times)
    true_xy, true_world = CAMERA.project(stage), CAMERA.see(stage)
    pred_xy, pred_world = np.full_like(true_xy, np.nan), np.full_like(true_world, np.nan)
    found = np.zeros((len(times), 4))
    size = np.array([CAMERA.width_px, CAMERA.height_px])
    with mp.solutions.holistic.Holistic(
        static_image_mode=False, model_complexity=1, smooth_landmarks=False, refine_face_landmarks=True
    ) as graph:
        for k, picture in enumerate(render([dance], times, CAMERA)):
            result = graph.process(picture)
            if result.pose_landmarks:
                pred_xy[k] = [(p.x, p.y) for p in result.pose_landmarks.landmark] * size
                pred_world[k] = [(p.x, p.y, p.z) for p in result.pose_world_landmarks.landmark]
            found[k] = [
                part is not None
                for part in (
                    result.pose_landmarks,
                    result.left_hand_landmarks,
                    result.right_hand_landmarks,
                    result.face_landmarks,
                )
            ]
    return Comparison(pred_xy, true_xy, pred_world, true_world, found.mean(axis=0))


def _main(duration_s: float) -> None:
    write = sys.stdout.write
    dance = choreograph(np.random.default_rng(0), 115, 10)
    list(render([dance], np.arange(3.0), CAMERA))
    start = time.process_time()
    list(render([dance], np.arange(200) / FPS, CAMERA))
    write(f"rendering 640x640: {(time.process_time() - start) / 200 * 1000:.1f} CPU ms per frame\n")
    write("| yaw | PCK@.1 | PCK@.2 | PA-MPJPE (12) | (33) | swaps | body | left | right | face | lag ms |\n")
    write("|---|---|---|---|---|---|---|---|---|---|---|\n")
    for yaw in (-60, -45, -30, -15, 0, 15, 30, 45, 60):
        # Two dances in different clothes per direction.
        runs = [compare(seed, bpm, duration_s, yaw, look) for seed, bpm, look in ((11, 112, 0), (12, 96, 1))]
        rows = []
        for r in runs:
            rows.append(
                [
                    accuracy.pck(r.pred_xy, r.true_xy),
                    accuracy.pck(r.pred_xy, r.true_xy, 0.2),
                    accuracy.pa_mpjpe_cm(r.pred_world, r.true_world),
                    accuracy.pa_mpjpe_cm(r.pred_world, r.true_world, tuple(range(33))),
                    accuracy.left_right_swap_rate(r.pred_xy, r.true_xy),
                    *r.found,
                    accuracy.motion_lag_ms(r.pred_xy[:, list(LIMBS)], r.true_xy[:, list(LIMBS)]),
                ]
            )
        write(f"| {yaw:+d} | " + " | ".join(f"{v:.3f}" for v in np.mean(rows, axis=0)) + " |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main(float(sys.argv[1]) if len(sys.argv) > 1 else 12.0)
