"""What `d2midi_build.music.clarity` says of recordings, and what the sound side of screening costs.

    python benchmarks/clarity.py [--data ../shared/data]

No weight was learned from these recordings, but which measures the model has was chosen with them in view. What each
is comes from the list of files beside them. A file of sound alone is given a black picture first. The last line is CPU
seconds per second of sound: of ffmpeg for decoding alone, of ffmpeg with all three outputs, and of Python. The other
figures are the same every time.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from pathlib import Path
from typing import Final

import ffmpeg

from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import file_url, run
from d2midi_build.media.probe import probe
from d2midi_build.media.sound_scan import MONO_HZ, SoundScan, scan_sound
from d2midi_build.music.clarity import clarity, hear

DEFAULT_DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"

RECORDINGS: Final = {
    "pytorch+torchcodec/test/resources/nasa_13013.mp4": "speech",
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/2.mp4": "speech",
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/3.mp4": "speech",
    "iejMac+video2dataset/tests/test_files/test_video.mp4": "speech",
    "dmlc+decord/examples/flipping_a_pancake.mkv": "voice, noise of a kitchen",
    "open-mmlab+mmaction2/tests/data/test.avi": "unknown",
    "spotify+basic-pitch/tests/resources/vocadito_10.wav": "singing alone",
    "spotify+basic-pitch/tests/resources/vocadito_14.wav": "singing alone",
    "TMElyralab+MusePose/assets/videos/dance.mp4": "music, song",
    "antgroup+animate-x/data/videos/dance_3.mp4": "music",
    "olincollege+just-dance/test/test.mp4": "music",
    "researchmm+MM-Diffusion/fig/aist++.mp4": "music, cut every 1.7 s",
    "google+aichoreographer/assets/gen_results_1.mp4": "music",
    "karthikcsq+FORMulator/dance.mov": "music, end card",
    "MiryalaNarayanaReddy+Multiperson-Pose-detection-and-Segmentation/dance_video.mp4": "music, outdoors",
    "deezer+spleeter/audio_example.mp3": "music, pop",
    "facebookresearch+demucs/test.mp3": "music, rock",
    "magenta+note-seq/note_seq/testdata/example.wav": "music, 2 s",
    "mjhydri+BeatNet/test/test_data/808kick120bpm.mp3": "kick drum alone",
    "Zulko+moviepy/media/video_with_failing_audio.mp4": "plane, silent from 5 s",
    "Zulko+moviepy/media/fire2.mp4": "fire, -51 dB",
    "Zulko+moviepy/media/no_duration.webm": "silence",
    "intel-iot-devkit+sample-videos/car-detection.mp4": "silence",
    "WyattBlue+auto-editor/resources/only-video/man-on-green-screen.mp4": "silent after a second",
}
"""Files with sound, and what it is."""


def with_picture(path: Path, folder: Path) -> Path:
    """A file itself if it has a picture, else its sound with a black one, not encoded again."""
    try:
        probe(path)
        return path
    except PermanentError:
        made = folder / f"{path.stem}.mkv"
        black = ffmpeg.input("color=black:size=64x64:rate=5", f="lavfi")
        run(
            ffmpeg.output(
                black, ffmpeg.input(file_url(path)).audio, file_url(made), acodec="copy", shortest=None
            ),
            f"giving {path.name} a picture",
        )
        return made


def scanned(path: Path, folder: Path) -> SoundScan:
    """The sound of a file of any kind."""
    scan = scan_sound(with_picture(path, folder), folder)
    if scan is None:
        raise PermanentError(f"{path} has no sound")
    return scan


def cpu_s(who: int) -> float:
    """Seconds used so far."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def said(value: float | None, form: str) -> str:
    """A number, or a dash for None."""
    return format(value, form) if value is not None else "-".rjust(len(format(0.0, form)))


def main() -> None:
    """Print the table and the costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    options = parser.parse_args()
    print("                            bandwidth noise  likely         share of windows")
    print("recording                        Hz     dB   music speech   music speech neither")
    seconds = decoded_s = ffmpeg_s = python_s = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for recording, kind in RECORDINGS.items():
            path = with_picture(options.data / recording, folder)
            audio = probe(path).audio
            assert audio is not None
            before = cpu_s(resource.RUSAGE_CHILDREN)
            alone = ffmpeg.input(file_url(path), vn=None, max_error_rate=1)[str(audio.index)]
            run(alone.output("-", format="null"), f"decoding {path.name}")
            decoded_s += cpu_s(resource.RUSAGE_CHILDREN) - before
            before, before_here = cpu_s(resource.RUSAGE_CHILDREN), cpu_s(resource.RUSAGE_SELF)
            scan = scanned(path, folder)
            length_s = len(scan.mono) / MONO_HZ
            scores = clarity(hear(scan), 0.0, length_s)
            if seconds:  # the first call imports
                python_s += cpu_s(resource.RUSAGE_SELF) - before_here
            ffmpeg_s += cpu_s(resource.RUSAGE_CHILDREN) - before
            seconds += length_s
            print(
                f"{Path(recording).name[:24]:24s} {said(scores.bandwidth_hz, '9.0f')} {said(scores.noise_db, '6.1f')}"
                f"   {said(scores.music, '5.2f')} {said(scores.speech, '5.2f')}    {scores.music_share:5.2f}"
                f" {scores.speech_share:5.2f}  {scores.neither_share:5.2f}   {kind}"
            )
    print(
        f"CPU ms per second of sound: decoding alone {1e3 * decoded_s / seconds:.1f}, "
        f"all outputs {1e3 * ffmpeg_s / seconds:.1f}, Python {1e3 * python_s / seconds:.1f}"
    )


if __name__ == "__main__":
    main()
