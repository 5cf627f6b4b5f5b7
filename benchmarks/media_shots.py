"""Hard cuts found in ../shared/data by our detector and by PySceneDetect's default, in one decode.

    uv run --all-extras python benchmarks/media_shots.py

Prints per file: true cuts, found, missed, invented (a cut counts as found within 2 frames), for both.
True cuts were set by looking. The talking heads and the slide deck have none listed: what is found there
are jumps in edited speech.
"""

from __future__ import annotations

from pathlib import Path

from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from d2midi_build.media.scan import scan_frames
from d2midi_build.media.shots import ShotDetector

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_FILES: dict[str, list[int]] = {
    "researchmm+MM-Diffusion/fig/aist++.mp4": list(range(17, 510, 17)),
    "MiryalaNarayanaReddy+Multiperson-Pose-detection-and-Segmentation/dance_video.mp4": [181, 227, 601, 632],
    "karthikcsq+FORMulator/dance.mov": [295],
    "pytorch+torchcodec/test/resources/nasa_13013.mp4": [240],
    "TMElyralab+MusePose/assets/videos/dance.mp4": [],
    "olincollege+just-dance/test/test.mp4": [],
    "google+aichoreographer/assets/gen_results_1.mp4": [],
    "antgroup+animate-x/data/videos/dance_3.mp4": [],
    "antgroup+animate-x/data/videos/dance_3_right.mp4": [],
    "antgroup+animate-x/data/videos/ubc.mp4": [],
    "open-mmlab+mmaction2/tools/data/skeleton/S001C001P001R001A001_rgb.avi": [],
    "open-mmlab+mmaction2/demo/demo_skeleton.mp4": [],
    "open-mmlab+mmaction2/tests/data/test.avi": [],
    "tensorflow+tfjs-models/pose-detection/test_data/pose_1.mp4": [],
    "dmlc+decord/examples/flipping_a_pancake.mkv": [],
    "WyattBlue+auto-editor/resources/only-video/man-on-green-screen.mp4": [],
    "intel-iot-devkit+sample-videos/car-detection.mp4": [],
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/2.mp4": [],
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/3.mp4": [],
}


def _score(true: list[int], found: list[int]) -> str:
    hit = [k for k in true if any(abs(k - f) <= 2 for f in found)]
    invented = [f for f in found if all(abs(k - f) > 2 for k in true)]
    return f"{len(true):4d} {len(hit):5d} {len(true) - len(hit):6d} {len(invented):8d}"


def main() -> None:
    print("true found missed invented |     PySceneDetect's default")
    for name, true in _FILES.items():
        ours, peer, peer_cuts = ShotDetector(), AdaptiveDetector(), []
        for number, time_s, image in scan_frames(_DATA / name, 360):
            ours.add(time_s, image)
            peer_cuts += [cut.frame_num for cut in peer.process_frame(FrameTimecode(number, 30.0), image)]
        found = [shot.start_frame for shot in ours.shots()[1:]]
        print(f"{_score(true, found)} | {_score(true, peer_cuts)}  {name}")


if __name__ == "__main__":
    main()
