"""How well and how fast the default transcriber hears known songs.

    python benchmarks/transcription_quick.py            # figures on 12 songs of the synthetic band
    python benchmarks/transcription_quick.py --songs DIR # and 30 s of every .mid below DIR, played
    python benchmarks/transcription_quick.py --attack   # how long after its onset a note is heard

F1 is the mean over songs at 50 ms. Every figure stands beside basic-pitch's own settings in the same
run. Songs are played with TimGM6mb, the soundfont the drum weights were fitted on. The band's seeds are
new to thresholds and weights; General MIDI songs are new to the drum weights only. A song without drums
in which none are heard counts as 1.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.errors import PermanentError
from d2midi_build.music.drums import CLOSED_HAT, DRUM_KEYS, KICK, SNARE, detect_drums
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.midi import read_midi
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import drum_score, instrument_score, onset_offset_score, onset_score
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose
from d2midi_build.transcribers.basic_pitch import PLAIN, BasicPitch

RATE_HZ = 44_100
SECONDS = 30.0
SAME_DRUM = {35: KICK, 40: SNARE, 44: CLOSED_HAT, 46: CLOSED_HAT}

Song = tuple[str, Notes]


def band_songs() -> list[Song]:
    """Songs no threshold or weight was chosen on."""
    return [
        (f"seed {s}", compose(np.random.default_rng(s), 84.0 + 5 * (s % 12), SECONDS).notes)
        for s in range(100, 112)
    ]


def songs_below(folder: Path) -> list[Song]:
    """Seconds 40-70 of every readable MIDI file with at least 50 notes there."""
    found = []
    for path in sorted(folder.rglob("*.mid")):
        try:
            notes = read_midi(path).starting_in(40.0, 40.0 + SECONDS).shifted(-40.0).playable()
        except PermanentError:
            continue
        if len(notes) >= 50:
            found.append((path.stem, three_drums(notes)))
    return found


def three_drums(notes: Notes) -> Notes:
    """Kinds of kick, snare and hat under one key; other drums stay what they are."""
    hits = notes.drums()
    key = [SAME_DRUM.get(int(pitch), int(pitch)) for pitch in hits.pitch]
    return Notes.concat(
        [
            notes.pitched(),
            Notes.create(hits.onset_s, hits.offset_s, np.array(key, np.int64), hits.velocity, is_drum=True),
        ]
    )


def sound_of(notes: Notes, rate_hz: int) -> npt.NDArray[np.float32]:
    """Stereo at a peak of 0.8."""
    sound = synthesise(notes, rate_hz, round(SECONDS * rate_hz))
    return sound * np.float32(0.8 / np.abs(sound).max())


def print_figures(label: str, songs: list[Song]) -> None:
    """One table: settings by rate."""
    print(f"\n{label}: {len(songs)} songs of {SECONDS:.0f} s")
    print(
        "                              onset  +offset  +instrument   kick  snare  hat   all drums  s per CPU s"
    )
    ours, plain = BasicPitch(), BasicPitch(PLAIN)
    ours.load()
    plain.load()
    for rate_hz in (RATE_HZ, SAMPLE_RATE_HZ):
        for name, transcriber in (("basic-pitch's settings", plain), ("default", ours)):
            rows, cpu_s = [], 0.0
            for _, truth in songs:
                sound = sound_of(truth, rate_hz)
                start_s = time.process_time()
                found = transcriber.transcribe(sound, rate_hz)
                cpu_s += time.process_time() - start_s
                known = truth.where(~truth.is_drum | np.isin(truth.pitch, DRUM_KEYS))
                drums = [drum_score(known, found, (key,)) for key in DRUM_KEYS]
                rows.append(
                    [
                        onset_score(truth, found).f1,
                        onset_offset_score(truth, found).f1,
                        instrument_score(truth, found).f1,
                        *(score.f1 for score in drums),
                        drum_score(known, found).f1,
                    ]
                )
            m = np.mean(rows, axis=0)
            print(
                f"{rate_hz:6d} Hz {name:22s} {m[0]:.3f}   {m[1]:.3f}     {m[2]:.3f}       "
                f"{m[3]:.3f}  {m[4]:.3f}  {m[5]:.3f}   {m[6]:.3f}     {SECONDS * len(songs) / cpu_s:6.1f}"
            )


def print_bias(songs: list[Song]) -> None:
    """Median of found minus true onset, for the notes and hits that match within 100 ms."""
    late: dict[str, list[float]] = {"pitched": [], "drums": []}
    ours = BasicPitch()
    for _, truth in songs:
        found = ours.transcribe(sound_of(truth, RATE_HZ), RATE_HZ)
        for kind, mine, theirs in (
            ("pitched", found.pitched(), truth.pitched()),
            ("drums", found.drums(), truth.drums()),
        ):
            for onset_s, pitch in zip(mine.onset_s, mine.pitch, strict=True):
                away_s = onset_s - theirs.onset_s[theirs.pitch == pitch]
                if len(away_s) and np.abs(away_s).min() < 0.1:
                    late[kind].append(float(away_s[np.argmin(np.abs(away_s))]))
    for kind, all_s in late.items():
        print(f"median onset error, {kind}: {1000 * float(np.median(all_s)):+.1f} ms")


def print_attack() -> None:
    """When a tenth and half of the first 100 ms' peak are passed, per instrument."""
    print(
        "instrument                 pitch   10 %     50 %  of the peak of the first 100 ms, ms after the onset"
    )
    for instrument in INSTRUMENTS:
        for pitch in DRUM_KEYS if instrument.is_drum else (48, 60, 72):
            note = Notes.create([0.5], [1.0], pitch, 100, instrument.program, instrument.is_drum)
            level = np.abs(synthesise(note, RATE_HZ)).max(axis=1)[RATE_HZ // 2 :]
            peak = level[: RATE_HZ // 10].max()
            tenth, half = (1000 * float(np.argmax(level > part * peak)) / RATE_HZ for part in (0.1, 0.5))
            print(f"{instrument.name:26s} {pitch:4d} {tenth:7.1f} {half:8.1f}")


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=Path, help="folder of General MIDI files to play as well")
    parser.add_argument("--attack", action="store_true", help="print attack times instead")
    options = parser.parse_args()
    if options.attack:
        print_attack()
        return
    songs = band_songs()
    print_figures("synthetic band", songs)
    print_bias(songs)
    if options.songs:
        real = songs_below(options.songs)
        print_figures(str(options.songs.name), real)
        quiet = [notes.pitched() for _, notes in real]
        hits = sum(len(detect_drums(sound_of(notes, RATE_HZ), RATE_HZ)) for notes in quiet)
        minutes = len(quiet) * SECONDS / 60
        print(f"drum hits heard in the same songs without their drums: {hits / minutes:.1f} per minute")


if __name__ == "__main__":
    main()
