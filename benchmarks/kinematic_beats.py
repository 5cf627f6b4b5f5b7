"""How well kinematic beats are found in what MediaPipe saw of the demo's dancers, whose beats are known.

    d2midi demo --out DIR
    python benchmarks/kinematic_beats.py DIR/workspace [--seed N]

Beat F at 70 and 100 ms, nothing trimmed, of the exact joints and of MediaPipe's, each hip-centred and with the hips'
travel through the picture. A dancer's first pose, which it has held before, is no minimum between two movements and
does not count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from d2midi_build import clock, demo, tables
from d2midi_build.motion.keypoints import Keypoints, read_frames
from d2midi_build.motion.kinematic_beats import find_kinematic_beats
from d2midi_build.motion.skeleton import HIPS
from d2midi_build.music.beat_scores import beat_score
from d2midi_build.synthetic.render import Camera

TOLERANCES_S = (0.07, 0.1)
EDGE_S = 0.25


def measured(cast: demo.Cast, seed: int, clip: dict[str, object], seen: Keypoints) -> dict[str, list[float]]:
    """F at each of `TOLERANCES_S`, by what the beats were found in."""
    (dance,), _ = demo._truth(cast, seed)
    start_s, n_frames = float(str(clip["source_start_s"])), len(seen.present_body)
    stage = dance.landmarks(start_s + np.arange(n_frames) / clock.FPS)
    camera = Camera.framing(*demo._shape(cast).size_px)
    image = camera.project(stage) / np.array([camera.width_px, camera.height_px])
    world = stage * np.array([1.0, -1.0, -1.0])
    world -= world[:, HIPS].mean(axis=1, keepdims=True)
    low_s = max(float(dance.beats_s[1]) - start_s, 0.0) - EDGE_S
    high_s = clock.frame_time_s(n_frames) - EDGE_S
    beats_s = dance.beats_s - start_s
    beats_s = beats_s[(beats_s > low_s) & (beats_s < high_s)]
    everywhere = np.ones(n_frames, dtype=np.bool_)
    found = {
        "exact joints": find_kinematic_beats(world, everywhere),
        "exact joints and travel": find_kinematic_beats(world, everywhere, body_image=image),
        "MediaPipe": find_kinematic_beats(seen.body_world, seen.present_body),
        "MediaPipe and travel": find_kinematic_beats(
            seen.body_world, seen.present_body, body_image=seen.body_image
        ),
    }
    return {
        name: [
            beat_score(
                beats_s, beats.times_s[(beats.times_s > low_s) & (beats.times_s < high_s)], tolerance_s
            )
            for tolerance_s in TOLERANCES_S
        ]
        for name, beats in found.items()
    }


def main() -> None:
    """Read, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path, help="of a demo that has run")
    parser.add_argument("--seed", type=int, default=0, help="the demo's")
    options = parser.parse_args()
    manifests = options.workspace / "manifests"
    videos = {
        video: source["url"].rsplit("/", 1)[-1].partition(".")[0]
        for source in tables.read(manifests / "sources.parquet").to_pylist()
        for video in source["video_ids"]
    }
    casts = {cast.name: cast for cast in demo.CASTS if cast.ends == "windows"}
    rows = []
    for clip in tables.read(manifests / "clips.parquet").to_pylist():
        if (cast := casts.get(videos[clip["video_id"]])) is None:
            continue
        seen = Keypoints.from_table(read_frames(options.workspace / "frames" / f"{clip['clip_id']}.parquet"))
        rows.append(measured(cast, options.seed, clip, seen))
        figures = ", ".join(f"{name} {f[0]:.3f} {f[1]:.3f}" for name, f in rows[-1].items())
        print(f"{cast.name}, {cast.bpm:.0f} bpm, yaw {cast.yaw_deg:.0f}: {figures}")
    if not rows:
        parser.error(f"no clip of a demo in {options.workspace}: run `d2midi demo` first")
    print("\n| found in | F at 70 ms | F at 100 ms |\n|---|---|---|")
    for name in rows[0]:
        print(
            f"| {name} | "
            + " | ".join(f"{f:.3f}" for f in np.mean([row[name] for row in rows], axis=0))
            + " |"
        )


if __name__ == "__main__":
    main()
