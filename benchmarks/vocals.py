"""How well `d2midi_build.music.vocals` tells where a voice is: real recordings, and songs without one.

    python benchmarks/vocals.py [--data ../shared/data] [--songs 4]

Five tables, the cheap ones first. Voices alone, whose share should be 1. Recordings of music, about whose voices
nothing is known beyond their description: their share is printed, not judged. General MIDI songs played with TimGM6mb,
which no weight was learned from: their share should be 0, all of it is false. Mixes of both: the first half of each is
the song alone, the second half has the voice, and a frame has a voice where the recording sounds. AUC is the area under
the curve of `Voice.probability` over the frames that sound, from a recording's mixes with all songs; found and false
are shares of the frames with and without a voice in which one is heard. And notes judged sung in the mixes with
singing, as the stage transcribe would: a note found in a mix is the song's where one of the song's notes of its pitch
sounds at its middle, else the voice's where one of the notes found in the voice alone does, else nobody's. Same files,
same figures, but for the CPU seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import librosa
import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from transcription_pieces import midi_pieces

from d2midi_build import clock
from d2midi_build.media.ffmpeg import ffmpeg_exe, file_url
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import default_soundfont, synthesise
from d2midi_build.music.vocals import SUNG, Voice, find_voice, sung
from d2midi_build.recipe import Recipe
from d2midi_build.transcribers.base import Transcriber, transcriber

Sound = npt.NDArray[np.float32]

RATE_HZ: Final = clock.SAMPLE_RATE_HZ
FRAME: Final = clock.SAMPLES_PER_FRAME
SONG_S: Final = 30.0
LONGEST_S: Final = 10.0
"""Of a recording, in a mix."""
LEVELS_DB: Final = (-12, -6, 0, 6)
AUDIBLE: Final = 0.1
"""A voice sounds in frames at least that loud beside its loud moments: -20 dB."""

DEFAULT_DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"

VOICES: Final = {
    "spotify+basic-pitch/tests/resources/vocadito_10.wav": "singing",
    "spotify+basic-pitch/tests/resources/vocadito_14.wav": "singing",
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/2.mp4": "speech",
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/3.mp4": "speech",
    "pytorch+torchcodec/test/resources/nasa_13013.mp4": "speech",
    "iejMac+video2dataset/tests/test_files/test_video.mp4": "speech",
}
"""Files whose sound is a voice alone, by the list of files that comes with them."""

MUSIC: Final = {
    "deezer+spleeter/audio_example.mp3": "pop song, a singer in it",
    "facebookresearch+demucs/test.mp3": "rock song",
    "TMElyralab+MusePose/assets/videos/dance.mp4": "song, with lyrics shown",
    "antgroup+animate-x/data/videos/dance_3.mp4": "dance music",
    "olincollege+just-dance/test/test.mp4": "dance music",
    "researchmm+MM-Diffusion/fig/aist++.mp4": "dance music",
    "google+aichoreographer/assets/gen_results_1.mp4": "dance music",
    "MiryalaNarayanaReddy+Multiperson-Pose-detection-and-Segmentation/dance_video.mp4": "dance music, outdoors",
    "mjhydri+BeatNet/test/test_data/808kick120bpm.mp3": "kick drum alone, no voice",
    "magenta+note-seq/note_seq/testdata/example.wav": "2 s of notes, no voice",
}


@dataclass(frozen=True, eq=False)
class Heard:
    """A mix: of its frames that sound, how likely a voice is, whether one is heard, and whether one is there."""

    probability: npt.NDArray[np.float32]
    heard: npt.NDArray[np.bool_]
    there: npt.NDArray[np.bool_]
    mix: Sound
    voice: Voice
    start_s: float
    """Of the recording in the mix."""


def decoded(path: Path) -> Sound:
    """The first sound of a file, mono, at the clock's rate."""
    command = [ffmpeg_exe(), "-v", "error", "-i", file_url(path), "-map", "0:a:0", "-ac", "1"]
    raw = subprocess.run(
        [*command, "-ar", str(RATE_HZ), "-f", "f32le", "-"], capture_output=True, check=True
    ).stdout
    return np.frombuffer(raw, dtype=np.float32)


def played(notes: Notes) -> Sound:
    """Half a minute of notes, played at 44.1 kHz and brought to the clock's rate, mono."""
    stereo = synthesise(notes, 44_100, round(44_100 * SONG_S), soundfont=default_soundfont())
    sound = librosa.resample(stereo.mean(axis=1), orig_sr=44_100, target_sr=RATE_HZ)
    return np.asarray(0.5 * sound / np.abs(sound).max(), dtype=np.float32)


def audible(voice: Sound) -> npt.NDArray[np.bool_]:
    """Per frame of the clip, whether a recorded voice sounds."""
    whole = voice[: len(voice) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    level = np.sqrt(np.mean(whole**2, axis=1))
    return np.asarray(level > AUDIBLE * np.percentile(level, 95))


def mixed(song: Sound, voice: Sound, level_db: float) -> Heard:
    """Listen to a song into whose second half a voice is mixed, so many dB above the song where it sounds."""
    n_frames = min(len(song) // 2, len(voice), round(LONGEST_S * RATE_HZ)) // FRAME
    sounds = audible(voice)[:n_frames]
    voice = voice[: n_frames * FRAME]
    mix = song[: 2 * n_frames * FRAME].copy()
    active = voice[np.repeat(sounds, FRAME)]
    gain = 10 ** (level_db / 20) * np.sqrt(np.mean(mix**2) / np.mean(active**2))
    mix[n_frames * FRAME :] += np.float32(gain) * voice
    mix *= np.float32(0.5 / np.abs(mix).max())
    found = find_voice(mix, RATE_HZ)
    there = np.concatenate([np.zeros(n_frames, np.bool_), sounds])
    n = min(len(there), len(found.probability))
    kept = found.sounding[:n]
    probability, heard = found.probability[:n][kept], found.heard[:n][kept]
    return Heard(probability, heard, there[:n][kept], mix, found, clock.frame_time_s(n_frames))


def pooled(of: list[Heard]) -> tuple[float, float, float]:
    """Area under the curve, share of frames with a voice that are found, and of those without that are too."""
    probability, heard, there = (
        np.concatenate([getattr(each, name) for each in of]) for name in ("probability", "heard", "there")
    )
    return (
        float(roc_auc_score(there, probability)),
        float(heard[there].mean()),
        float(heard[~there].mean()),
    )


def among(notes: Notes, others: Notes) -> npt.NDArray[np.bool_]:
    """Whether one of the others, of the same pitch, sounds at the middle of each note, shape (n,)."""
    middle_s = (notes.onset_s + notes.offset_s) / 2
    return np.array(
        [
            bool(((others.pitch == pitch) & (others.onset_s <= at_s) & (at_s <= others.offset_s)).any())
            for pitch, at_s in zip(notes.pitch, middle_s, strict=True)
        ],
        dtype=np.bool_,
    )


def whose(heard: Heard, song: Notes, voice: Notes, by: Transcriber) -> npt.NDArray[np.int64]:
    """Pitched notes found in a mix, shape (2, 3): judged sung or not, by the song's, the voice's and nobody's."""
    found = by.transcribe(heard.mix, RATE_HZ).pitched()
    judged = sung(found, heard.voice) >= SUNG
    songs = among(found, song.pitched())
    voices = ~songs & among(found, voice.pitched().shifted(heard.start_s))
    kinds = (songs, voices, ~songs & ~voices)
    return np.array([[int((row & kind).sum()) for kind in kinds] for row in (judged, ~judged)])


def shown(voice: Voice) -> str:
    """A share, or that there is none."""
    return "  -" if voice.share is None else f"{voice.share:.2f}"


def short(name: str) -> str:
    """Owner's repository and file."""
    return f"{name.split('/')[0].split('+')[1]}/{Path(name).name}"


def say(line: str) -> None:
    """Print at once: the whole takes minutes."""
    print(line, flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of real files")
    parser.add_argument("--songs", type=int, default=4, help="MIDI songs to mix voices into")
    options = parser.parse_args()

    voices = {name: decoded(options.data / name) for name in VOICES}

    say("A voice alone: share (should be 1)")
    for name, kind in VOICES.items():
        say(f"  {shown(find_voice(voices[name], RATE_HZ))}  {kind:8} {short(name)}")

    say("\nRecorded music, voices not annotated: share")
    for name, kind in MUSIC.items():
        say(f"  {shown(find_voice(decoded(options.data / name), RATE_HZ))}  {short(name)}: {kind}")

    pieces = {piece.name: piece.notes for piece in midi_pieces([options.data])[0]}
    songs = {name: played(notes) for name, notes in pieces.items()}
    say(f"\nSongs alone, played with {default_soundfont().stem}: share (should be 0)")
    begun_s = time.process_time()
    shares = {name: find_voice(song, RATE_HZ) for name, song in songs.items()}
    cpu_s = time.process_time() - begun_s
    for name, voice in shares.items():
        say(f"  {shown(voice)}  {name}")
    known = [voice.share for voice in shares.values() if voice.share is not None]
    say(
        f"  {np.mean(known):.2f}  mean; {np.median(known):.2f} median; {sum(s > 0.5 for s in known)} above .5"
    )
    say(f"  CPU seconds per second of a song at {RATE_HZ} Hz: {cpu_s / (SONG_S * len(songs)):.4f}")

    used = list(songs)[: options.songs]
    say(
        f"\nMixed into {len(used)} songs played with {default_soundfont().stem}: AUC / found / false, per frame"
    )
    say("  " + "".join(f"{level:>+16} dB" for level in LEVELS_DB))
    found: dict[tuple[str, int], list[Heard]] = {
        (name, level): [mixed(songs[song], voices[name], level) for song in used]
        for name in VOICES
        for level in LEVELS_DB
    }
    rows = {short(name): [name] for name in VOICES} | {
        f"all {kind}": [name for name in VOICES if VOICES[name] == kind] for kind in ("singing", "speech")
    }
    for row, names in rows.items():
        cells = [
            "{:.2f} / {:.2f} / {:.2f}".format(
                *pooled([each for name in names for each in found[(name, level)]])
            )
            for level in LEVELS_DB
        ]
        say(f"  {'  '.join(cells)}  {row}")

    by = transcriber(Recipe().transcribe.transcriber)
    say(
        f"\nNotes that {by.name} {by.version} finds in the mixes with singing: the song's, the voice's, nobody's"
    )
    singing = [name for name in VOICES if VOICES[name] == "singing"]
    alone = {name: by.transcribe(voices[name], RATE_HZ) for name in singing}
    for level in LEVELS_DB:
        counts = sum(
            whose(heard, pieces[song], alone[name], by)
            for name in singing
            for song, heard in zip(used, found[(name, level)], strict=True)
        )
        judged, others = np.asarray(counts)
        say(f"  {level:+4} dB  judged sung: {judged.tolist()}  not: {others.tolist()}")


if __name__ == "__main__":
    main()
