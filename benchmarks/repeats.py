"""What the search for repeats finds, what it does not, and what it costs: music and pictures.

    python benchmarks/repeats.py music [--songs 100] [--seed 2000] [--data ../shared/data] [--json]
    python benchmarks/repeats.py video [--dances 12] [--seed 2000] [--data ../shared/data] [--json]

Thresholds were chosen on songs of seeds 0-99, dances of seeds 0-7 and the videos; the choice among places was mended
after seeds from 1000 on had shown it wrong. Seeds from 2000 on, the recordings' changed copies and the General MIDI
files took no part. Songs share 7 tempi, 10 progressions, instruments and drum patterns; every pair of different
pieces is compared. "Highest other" are the best scores of pairs that are none, with the threshold lowered; a video
pair whose fit stays below 0.35 has no score. 95 % upper limits of rates are Clopper and Pearson's; pairs that share
an item are not independent, so the limits are a little too good.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from rich.console import Console
from rich.table import Table
from scipy.stats import beta

from d2midi_build.errors import D2midiError
from d2midi_build.media.ffmpeg import ffmpeg_exe
from d2midi_build.media.likeness import MotionCollector, MotionSignature, find_copies
from d2midi_build.media.likeness.copies import LEAST_MOTION
from d2midi_build.media.scan import scan_frames
from d2midi_build.music.fingerprints import MusicFeatures, Repeat, find_repeats, music_features
from d2midi_build.music.midi import read_midi
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose, render
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera
from d2midi_build.synthetic.render import render as draw

RATE_HZ = 44_100
TEMPI_BPM = (80, 90, 100, 110, 120, 130, 140)
LENGTH_S = 30.0
PIECES = {
    "spleeter": "deezer+spleeter/audio_example.mp3",
    "demucs": "facebookresearch+demucs/test.mp3",
    "vocadito 10": "spotify+basic-pitch/tests/resources/vocadito_10.wav",
    "vocadito 14": "spotify+basic-pitch/tests/resources/vocadito_14.wav",
    "stage": "MiryalaNarayanaReddy+Multiperson-Pose-detection-and-Segmentation/dance_video.mp4",
    "dance.mov": "karthikcsq+FORMulator/dance.mov",
    "musepose": "TMElyralab+MusePose/assets/videos/dance.mp4",
    "dance_3": "antgroup+animate-x/data/videos/dance_3.mp4",
    "just-dance": "olincollege+just-dance/test/test.mp4",
    "avatar": "google+aichoreographer/assets/gen_results_1.mp4",
    "aist++ montage": "researchmm+MM-Diffusion/fig/aist++.mp4",
    "kick": "mjhydri+BeatNet/test/test_data/808kick120bpm.mp3",
    "slides (speech)": "iejMac+video2dataset/tests/test_files/test_video.mp4",
    "nasa (speech)": "pytorch+torchcodec/test/resources/nasa_13013.mp4",
    "pancake (noise)": "dmlc+decord/examples/flipping_a_pancake.mkv",
    "cars (silent)": "intel-iot-devkit+sample-videos/car-detection.mp4",
    "silhouette (silent)": "WyattBlue+auto-editor/resources/only-video/man-on-green-screen.mp4",
}
VIDEOS = ("stage", "dance.mov", "musepose", "dance_3", "just-dance", "avatar", "aist++ montage", "nasa (speech)",
          "pancake (noise)", "cars (silent)", "silhouette (silent)")  # fmt: skip
MORE_VIDEOS = {
    "ubc": "antgroup+animate-x/data/videos/ubc.mp4",
    "make-up": "open-mmlab+mmaction2/tests/data/test.avi",
    "talking head": "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/2.mp4",
    "bottles": "intel-iot-devkit+sample-videos/bottle-detection.mp4",
    "moviepy": "Zulko+moviepy/media/video_with_failing_audio.mp4",
}


def pitched(semitones: float, speed: float = 1.0) -> str:
    """Filters for another pitch, then another speed at this pitch."""
    factor = 2 ** (semitones / 12)
    return f"asetrate={round(RATE_HZ * factor)},aresample={RATE_HZ},atempo={speed / factor:.6f}"


# Name -> filters, codec, speed, semitones, start (s).
SOUNDS: dict[str, tuple[str, str, float, float, float]] = {
    "mp3 64 kbit/s": ("acopy", "mp3", 1, 0, 0),
    "aac 64 kbit/s": ("acopy", "adts", 1, 0, 0),
    "3.7 s later": ("atrim=start=3.7", "", 1, 0, 3.7),
    "mp3, 3.7 s later": ("atrim=start=3.7", "mp3", 1, 0, 3.7),
    "speed +5 %, pitch with it": (f"asetrate={round(RATE_HZ * 1.05)},aresample={RATE_HZ}", "", 1.05, 0.845, 0),
    "speed -5 %, pitch with it": (f"asetrate={round(RATE_HZ * 0.95)},aresample={RATE_HZ}", "", 0.95, -0.888, 0),
    "speed -3.3 %, pitch with it": (f"asetrate={round(RATE_HZ * 0.967)},aresample={RATE_HZ}", "", 0.967, -0.581, 0),
    "speed +5 %, pitch kept": ("atempo=1.05", "", 1.05, 0, 0),
    "speed -5 %, pitch kept": ("atempo=0.95", "", 0.95, 0, 0),
    "speed +2.2 %, pitch kept": ("atempo=1.022", "", 1.022, 0, 0),
    "-2 semitones": (pitched(-2), "", 1, -2, 0),
    "-1 semitone": (pitched(-1), "", 1, -1, 0),
    "+1 semitone": (pitched(1), "", 1, 1, 0),
    "+2 semitones": (pitched(2), "", 1, 2, 0),
    "+2, speed +5 %, 2.9 s later, mp3": (f"atrim=start=2.9,{pitched(2, 1.05)}", "mp3", 1.05, 2, 2.9),
    "-2, speed -5 %, 1.4 s later, aac": (f"atrim=start=1.4,{pitched(-2, 0.95)}", "adts", 0.95, -2, 1.4),
}  # fmt: skip
PICTURES: dict[str, tuple[str, int, float, bool]] = {  # filters, crf, start (s), mirrored
    "encoded again, crf 36": ("null", 36, 0, False),
    "mirrored": ("hflip", 23, 0, True),
    "80 % of the middle": ("crop=iw*.8:ih*.8", 23, 0, False),
    "80 % of the width": ("crop=iw*.8:ih", 23, 0, False),
    "80 % x 85 %, off the middle": ("crop=iw*.8:ih*.85:iw*.18:ih*.02", 23, 0, False),
    "borders, picture 1/1.4 wide": ("pad=iw*1.4:ih*1.25:(ow-iw)/2:(oh-ih)/2", 23, 0, False),
    "15 fps": ("fps=15", 23, 0, False),
    "24 fps": ("fps=24", 23, 0, False),
    "60 fps": ("fps=60", 23, 0, False),
    "2.33 s later": ("trim=start=2.33,setpts=PTS-STARTPTS", 23, 2.33, False),
    "darker": ("eq=brightness=-.15:contrast=.7", 23, 0, False),
    "180 lines, crf 33": ("scale=-2:180", 33, 0, False),
    "mirrored, 85 %, 24 fps, 1.27 s later, crf 33": (
        "trim=start=1.27,setpts=PTS-STARTPTS,hflip,crop=iw*.85:ih*.85,fps=24,eq=contrast=.8", 33, 1.27, True,
    ),
}  # fmt: skip


def upper_limit(found: int, total: int) -> float:
    """Of a rate, one-sided 95 % (Clopper and Pearson 1934)."""
    return float(beta.ppf(0.95, found + 1, total - found)) if found < total else 1.0


def ffmpeg(*arguments: str, stdin: bytes | None = None) -> bytes:
    """What ffmpeg writes to its standard output."""
    command = [ffmpeg_exe(), "-v", "error", "-y", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def hear(path: Path, filters: str = "acopy", codec: str = "") -> MusicFeatures:
    """Features of a file's sound after filters (which leave timestamps wrong) and encoding."""
    chain = f"[0:a:0]aresample={RATE_HZ}[i];[i]{filters},asetpts=N/SR/TB"
    if codec:
        coded = ffmpeg(
            "-i",
            str(path),
            "-filter_complex",
            chain + "[o]",
            "-map",
            "[o]",
            "-b:a",
            "64k",
            "-f",
            codec,
            "pipe:",
        )
        return features(coded, "acopy")
    sound = ffmpeg("-i", str(path), "-filter_complex", chain + "[o]", "-map", "[o]", "-f", "wav", "pipe:")
    return features(sound, "acopy")


def features(sound: bytes, filters: str) -> MusicFeatures:
    """Features of an encoded sound."""
    mono = ffmpeg(
        "-i", "pipe:", "-af", filters, "-ac", "1", "-ar", "11025", "-f", "s16le", "pipe:", stdin=sound
    )
    prints = ffmpeg(
        "-i", "pipe:", "-af", filters, "-f", "chromaprint", "-fp_format", "raw", "pipe:", stdin=sound
    )
    return music_features(np.frombuffer(mono, "<i2"), np.frombuffer(prints, "<u4"))


def write_song(seed: int, folder: Path) -> Path:
    """A composed song of 30 s as a WAV file."""
    path = folder / f"song{seed}.wav"
    song = compose(np.random.default_rng(seed), TEMPI_BPM[seed % len(TEMPI_BPM)], LENGTH_S, 0.5)
    soundfile.write(path, render(song, RATE_HZ), RATE_HZ)
    return path


def write_notes(notes: Notes, path: Path) -> Path:
    """Notes as 30 s of sound."""
    sound = synthesise(notes, RATE_HZ, round(LENGTH_S * RATE_HZ))
    soundfile.write(path, sound * np.float32(0.8 / max(float(np.abs(sound).max()), 1e-9)), RATE_HZ)
    return path


def midi_excerpts(data: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Three excerpts of 30 s of each General MIDI file: piece and file."""
    for file in sorted((data / "Natooz+MidiTok" / "tests").glob("MIDIs_*/*.mid")):
        try:
            notes = read_midi(file)
        except D2midiError:
            continue
        if not len(notes) or notes.offset_s.max() < 100:
            continue
        for start_s in (10.0, 40.0, 70.0):
            inside = notes.where((notes.onset_s >= start_s) & (notes.onset_s < start_s + LENGTH_S))
            if len(inside) > 20:
                path = folder / f"{file.stem}{start_s:.0f}.wav"
                yield f"midi {file.stem}", write_notes(moved(inside, -start_s), path)


def moved(notes: Notes, by_s: float) -> Notes:
    """Notes later by ``by_s``."""
    return Notes.create(
        notes.onset_s + by_s, notes.offset_s + by_s, notes.pitch, notes.velocity, notes.program, notes.is_drum,
        origin="benchmark",
    )  # fmt: skip


def over_one_loop(folder: Path, n: int) -> list[MusicFeatures]:
    """Songs of one tempo, all over the drums of the first."""
    songs = [compose(np.random.default_rng(5000 + seed), 110.0, LENGTH_S, 0.5) for seed in range(n)]
    drums = songs[0].notes.where(songs[0].notes.is_drum)
    files = []
    for number, song in enumerate(songs):
        notes = Notes.concat([song.notes.where(~song.notes.is_drum), drums])
        files.append(write_notes(notes, folder / f"loop{number}.wav"))
    return [hear(file) for file in files] + [
        hear(write_notes(drums, folder / f"bare{k}.wav")) for k in (0, 1)
    ]


def nothing_to_hear() -> dict[str, list[MusicFeatures]]:
    """Pairs of sounds that are no music."""
    rng = np.random.default_rng(7)
    time_s = np.arange(round(LENGTH_S * 11_025)) / 11_025
    clicks = np.exp(-200 * (time_s % 0.5)) * np.sin(2 * np.pi * 1000 * (time_s % 0.5))
    hum = np.asarray(sum(np.sin(2 * np.pi * 50 * k * time_s) / k for k in range(1, 30)))
    sounds = {
        "silence": (0 * time_s, 0 * time_s),
        "noise": (rng.normal(size=len(time_s)), rng.normal(size=len(time_s))),
        "clicks of one tempo": (clicks, np.roll(clicks, 3000)),
        "hum": (hum, np.roll(hum, 50)),
    }
    return {name: [from_samples(sound) for sound in pair] for name, pair in sounds.items()}


def from_samples(sound: npt.NDArray[np.float64]) -> MusicFeatures:
    """Features of mono samples at 11,025 Hz."""
    peak = max(float(np.abs(sound).max()), 1e-9)
    samples = (sound / peak * 20_000).astype("<i2")
    raw = ["-f", "s16le", "-ar", "11025", "-ac", "1", "-i", "pipe:"]
    prints = ffmpeg(*raw, "-f", "chromaprint", "-fp_format", "raw", "pipe:", stdin=samples.tobytes())
    return music_features(samples, np.frombuffer(prints, "<u4"))


def others(items: Sequence[MusicFeatures], pieces: Sequence[str]) -> dict[str, Any]:
    """Pairs of different pieces: how many are called repeats, and the closest ones."""
    started = time.process_time()
    found = find_repeats(items)
    cost_s = time.process_time() - started
    pairs = sum(a != b for i, a in enumerate(pieces) for b in pieces[:i])
    wrong = [each for each in found if pieces[each.first] != pieces[each.second]]
    near = [r for r in find_repeats(items, least_score=0.3) if pieces[r.first] != pieces[r.second]]
    nearest = sorted(near, key=lambda each: -each.score)[:3]
    return {
        "items": len(items), "pairs": pairs, "false": len(wrong), "false rate below": upper_limit(len(wrong), pairs),
        "us per pair": 1e6 * cost_s / (len(items) * (len(items) - 1) / 2),
        "highest other": [
            f"{pieces[r.first]} / {pieces[r.second]}: {r.score:.2f} over {r.overlap_s:.0f} s ({r.how})" for r in nearest
        ],
    }  # fmt: skip


def tally(found: Sequence[Repeat], total: int) -> dict[str, Any]:
    """How many were found, by which look, and the lowest score of each."""
    scores = {how: [each.score for each in found if each.how == how] for how in ("chromaprint", "pitch")}
    return {
        "found": len(found),
        "of": total,
        "by chromaprint": len(scores["chromaprint"]),
        "lowest score": " ".join(f"{how} {min(values):.3f}" for how, values in scores.items() if values),
    }


def same(name: str, originals: dict[str, MusicFeatures], files: dict[str, Path]) -> dict[str, Any]:
    """How many changed copies are found, and how right place, speed and pitch are."""
    filters, codec, speed, semitones, start_s = SOUNDS[name]
    found, missed, off = [], [], []
    for piece, file in files.items():
        repeats = find_repeats([originals[piece], hear(file, filters, codec)])
        if not repeats:
            missed.append(piece)
            continue
        found.append(repeats[0])
        # Encoders and atempo delay by some hundredths; loops may fit as well one round later.
        off.append(
            (
                abs(repeats[0].offset_s + start_s / speed),
                abs(repeats[0].speed / speed - 1),
                abs(repeats[0].semitones - semitones),
            )
        )
    worst = np.max(off, axis=0) if off else np.full(3, np.nan)
    return {
        **tally(found, len(files)), "missed": missed,
        "worst offset s": worst[0], "worst speed": worst[1], "worst semitones": worst[2],
    }  # fmt: skip


def shared_part(files: dict[str, Path], filters: str, codec: str, semitones: float) -> dict[str, Any]:
    """Takes of 20 s, the second of which begins where the first has 10 s left."""
    found, missed, off = [], [], []
    for piece, file in files.items():
        second = hear(file, f"atrim=start=10,asetpts=PTS-STARTPTS,{filters}", codec)
        repeats = find_repeats([hear(file, "atrim=end=20"), second])
        found += repeats
        missed += [] if repeats else [piece]
        off += [(abs(r.offset_s + 10), abs(r.speed - 1), abs(r.semitones - semitones)) for r in repeats]
    worst = np.max(off, axis=0) if off else np.full(3, np.nan)
    return {
        **tally(found, len(files)), "missed": missed,
        "worst offset s": worst[0], "worst speed": worst[1], "worst semitones": worst[2],
    }  # fmt: skip


def under(
    originals: dict[str, MusicFeatures], files: dict[str, Path], other: Path, gain_db: float
) -> dict[str, Any]:
    """Songs with another sound over them, at a level against theirs."""
    found = []
    talk, _ = soundfile.read(other)
    for piece, file in files.items():
        sound, _ = soundfile.read(file)
        mono = sound.mean(axis=1)
        over = np.resize(talk, len(mono))
        over *= np.sqrt(np.mean(mono**2) / np.mean(over**2)) * 10 ** (gain_db / 20)
        mixed = file.with_name("mixed.wav")
        soundfile.write(mixed, 0.5 * (mono + over), RATE_HZ)
        found += find_repeats([originals[piece], hear(mixed)])
    return {
        **tally(found, len(files)), "missed": [],
    }  # fmt: skip


def music(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures about music."""
    seeds = range(arguments.seed, arguments.seed + arguments.songs)
    files = {f"song {seed}": write_song(seed, folder) for seed in seeds}
    originals = {name: hear(file) for name, file in files.items()}
    pieces, items = list(originals), list(originals.values())
    result: dict[str, Any] = {"songs": others(items, pieces)}
    tens = [item.between(start, start + 10) for item in items for start in (0, 10, 20)]
    result["songs cut into 10 s"] = others(tens, [piece for piece in pieces for _ in range(3)])
    if arguments.data:
        real = [(name, hear(arguments.data / path)) for name, path in PIECES.items()]
        midi = [(name, hear(file)) for name, file in midi_excerpts(arguments.data, folder)]
        result["all, with recordings and MIDI files"] = others(
            [*items, *(item for _, item in real + midi)], [*pieces, *(name for name, _ in real + midi)]
        )
    loops = over_one_loop(folder, 12)
    result["songs over one drum loop, and the loop twice"] = others(
        loops, [str(k) for k in range(len(loops))]
    )
    result["no music"] = {name: len(find_repeats(pair)) for name, pair in nothing_to_hear().items()}

    few = {name: files[name] for name in list(files)[: arguments.copies]}
    result["same"] = {name: same(name, originals, few) for name in SOUNDS}
    result["same"]["10 s of 20 s shared, mp3"] = shared_part(few, "acopy", "mp3", 0)
    result["same"]["10 s of 20 s shared, +1 semitone"] = shared_part(few, pitched(1), "", 1)
    noise = folder / "noise.wav"
    soundfile.write(noise, np.random.default_rng(3).normal(size=RATE_HZ * 30) * 0.1, RATE_HZ)
    result["same"]["noise 20 dB below"] = under(originals, few, noise, -20)
    result["same"]["noise 6 dB below"] = under(originals, few, noise, -6)
    if arguments.data:
        talk = folder / "talk.wav"
        ffmpeg(
            "-i",
            str(arguments.data / PIECES["nasa (speech)"]),
            "-map",
            "0:a:0",
            "-ac",
            "1",
            "-ar",
            str(RATE_HZ),
            str(talk),
        )
        for gain_db in (-18, -12, -6):
            result["same"][f"speech {-gain_db} dB below"] = under(originals, few, talk, gain_db)
        heard = dict(real)
        long = {
            name: arguments.data / PIECES[name]
            for name in ("demucs", "stage", "avatar", "dance.mov", "musepose", "spleeter")
        }
        for name in SOUNDS:
            result["same"][f"recordings: {name}"] = same(name, heard, long)
    result["ms per minute of sound"] = cost_of_features(folder)
    result["bytes per minute"] = {name: array.nbytes * 2 for name, array in items[0].to_arrays().items()}
    return result


def cost_of_features(folder: Path) -> float:
    """CPU ms to make features of a minute of sound, decoding apart."""
    sound = (np.random.default_rng(1).normal(size=600 * 11_025) * 5000).astype(np.int16)
    started = time.process_time()
    music_features(sound, np.zeros(0, np.uint32))
    return 100 * (time.process_time() - started)


def write_dance(seed: int, folder: Path) -> Path:
    """12 s of one dancer in one room at 100 bpm; only the poses differ."""
    path, fps, seconds = folder / f"dance{seed}.mp4", 25, 12
    camera = Camera.framing(426, 240)
    dance = choreograph(np.random.default_rng(seed), 100.0, float(seconds))
    pictures = draw([dance], np.arange(seconds * fps) / fps, camera)
    command = [ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "426x240",
               "-r", str(fps), "-i", "-", "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p",
               str(path)]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for picture in pictures:
            process.stdin.write(picture.tobytes())
    return path


class Watcher:
    """Makes signatures and adds up what that costs."""

    def __init__(self) -> None:
        self.pictures, self.cost_s = 0, 0.0

    def watch(self, path: Path) -> MotionSignature:
        """Signature of a file, at 360 lines."""
        collector = MotionCollector()
        for _, time_s, picture in scan_frames(path, 360):
            started = time.process_time()
            collector.add(time_s, picture)
            self.cost_s += time.process_time() - started
            self.pictures += 1
        return collector.finish()


def change(path: Path, name: str, folder: Path) -> Path:
    """A changed copy of a video."""
    filters, crf, _, _ = PICTURES[name]
    out = folder / "changed.mp4"
    chain = f"setpts=PTS-STARTPTS,scale='min(854,iw)':-2,{filters}"
    ffmpeg("-i", str(path), "-an", "-vf", chain + ",scale=trunc(iw/2)*2:trunc(ih/2)*2", "-c:v", "libx264",
           "-preset", "veryfast", "-crf", str(crf), "-pix_fmt", "yuv420p", str(out))  # fmt: skip
    return out


def video(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures about pictures."""
    watcher = Watcher()
    files = {
        f"dance {seed}": write_dance(seed, folder)
        for seed in range(arguments.seed, arguments.seed + arguments.dances)
    }
    if arguments.data:
        files |= {name: arguments.data / PIECES[name] for name in VIDEOS}
        files |= {name: arguments.data / path for name, path in MORE_VIDEOS.items()}
    seen = {name: watcher.watch(path) for name, path in files.items()}
    names, items = list(seen), list(seen.values())
    started = time.process_time()
    found = find_copies(items)
    cost_s = time.process_time() - started
    pairs = len(items) * (len(items) - 1) // 2
    near = sorted(find_copies(items, least_score=0.1), key=lambda each: -each.score)[:3]
    result: dict[str, Any] = {
        "other": {
            "items": len(items), "pairs": pairs, "false": len(found),
            "false rate below": upper_limit(len(found), pairs),
            "us per pair": 1e6 * cost_s / pairs,
            "highest other": [
                f"{names[c.first]} / {names[c.second]}: {c.score:.2f} over {c.overlap_s:.0f} s" for c in near
            ],
        },
        "same": {},
    }  # fmt: skip
    still = [
        name for name, each in seen.items() if each.cells.mean() / 16 < LEAST_MOTION or len(each.cells) < 90
    ]
    few = [name for name in names if name not in still and not name.startswith("dance ")] + names[
        : arguments.copies
    ]
    few = [name for name in dict.fromkeys(few) if len(seen[name].cells) < 400]
    for name, (_, _, start_s, mirrored) in PICTURES.items():
        copies, missed, off = [], [], []
        for each in few:
            copy = find_copies([seen[each], watcher.watch(change(files[each], name, folder))])
            if copy and copy[0].mirrored == mirrored:
                copies.append(copy[0])
                off.append(abs(copy[0].offset_s + start_s))
            else:
                missed.append(each)
        result["same"][name] = {
            "found": len(copies), "of": len(few), "missed": missed,
            "lowest score": f"{min((copy.score for copy in copies), default=0.0):.3f}",
            "worst offset s": max(off, default=np.nan),
        }  # fmt: skip
    result["ms per picture"] = 1000 * watcher.cost_s / watcher.pictures
    result["bytes per minute"] = int(items[0].cells.nbytes * 600 / len(items[0].cells))
    return result


def show(result: dict[str, Any]) -> None:
    """Print as tables."""
    console = Console(width=150)
    for name, value in result.items():
        if isinstance(value, dict) and "pairs" in value:
            console.print(
                f"[b]{name}[/b]: {value['items']} items, {value['pairs']} pairs of different pieces, "
                f"{value['false']} false (below {value['false rate below']:.1e}), "
                f"{value['us per pair']:.0f} us CPU a pair; highest other: "
                + ("; ".join(value["highest other"]) or "none")
            )
        elif name != "same":
            console.print(f"[b]{name}[/b]: {value}")
    table = Table(
        "same", "found", "chromaprint", "lowest score", "worst offset", "speed", "semitones", "missed"
    )
    for name, row in result["same"].items():
        figures = [row.get(key) for key in ("worst offset s", "worst speed", "worst semitones")]
        table.add_row(
            name, f"{row['found']}/{row['of']}", str(row.get("by chromaprint", "")), str(row["lowest score"]),
            *("" if figure is None else f"{figure:.3f}" for figure in figures), ", ".join(row["missed"]),
        )  # fmt: skip
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("music", "video"))
    parser.add_argument("--songs", type=int, default=100)
    parser.add_argument("--dances", type=int, default=12)
    parser.add_argument(
        "--copies", type=int, default=10, help="songs or dances that changed copies are made of"
    )
    parser.add_argument("--seed", type=int, default=2000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = (music if arguments.what == "music" else video)(arguments, Path(folder))
    if arguments.json:
        print(json.dumps(result, indent=2, default=float))
    else:
        show(result)


if __name__ == "__main__":
    main()
