"""The decode for screening: a video's sound, once, as levels, as a spectrum, as mono and as a fingerprint.

One ffmpeg process decodes the sound and writes three outputs: the samples as they are, on a pipe, from which
levels and bands are measured on the way; mono at 11,025 Hz, into a file that is mapped; and chromaprint's
fingerprint. All three are on the source clock: their first sample is at the time of the file's first picture.
"""

from __future__ import annotations

import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ffmpeg
import numpy as np
import numpy.typing as npt

from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import Samples, ffmpeg_exe, file_url, note_decode, read_samples
from d2midi_build.media.loudness import BLOCK_S, AudioLevels, LevelMeter, blocks_of
from d2midi_build.media.probe import probe
from d2midi_build.media.sound import placed_sound

MONO_HZ: Final = 11_025
"""Rate of the mono sound: the one that chromaprint works at."""

BAND_HZ: Final = 250.0
"""Width of a band of `BandPower`."""

BAND_STEP_S: Final = 1.0
"""Length of a row of `BandPower`."""

FINGERPRINT_HOP_S: Final = 1365 / MONO_HZ
"""From one item of a fingerprint to the next: a third of chromaprint's frames of 4,096 samples, .1238 s."""

FINGERPRINT_SPAN_S: Final = (4096 + 19 * 1365) / MONO_HZ
"""What an item is made of, 2.72 s: five frames are smoothed into one, sixteen such are compared. Sound that is
shorter has no item. Measured: one sample less than that gives none, and sound moved by a hop moves by an item."""

_BLOCKS: Final = round(BAND_STEP_S / BLOCK_S)


@dataclass(frozen=True, eq=False)
class BandPower:
    """How much power lies where in the spectrum, at the sound's own rate.

    Attributes
    ----------
    power : np.ndarray, shape=(n, n_bands), float32
        Row ``i`` is the mean over ``i * BAND_STEP_S`` to ``(i + 1) * BAND_STEP_S`` seconds on the source clock
        and over channels; column ``j`` is ``j * BAND_HZ`` to ``(j + 1) * BAND_HZ``,
        the last goes up to half the rate. A row adds up to about the
        mean square (full scale is 1).
    rate_hz : int
        The sound's own rate; nothing lies above half of it.
    """

    power: npt.NDArray[np.float32]
    rate_hz: int


@dataclass(frozen=True, eq=False)
class SoundScan:
    """A video's sound as one decode leaves it.

    Attributes
    ----------
    levels : AudioLevels
        Per tenth of a second.
    bands : BandPower
        Per second.
    mono : np.ndarray, shape=(n,), int16, read-only
        The average of the channels at `MONO_HZ`; sample ``i`` at ``i / MONO_HZ`` seconds on the source clock.
        Mapped from a file that has no name any more: its room is free once the array is gone.
    fingerprint : np.ndarray, shape=(m,), uint32
        Chromaprint's raw fingerprint (algorithm 1). Item ``i`` is made of ``FINGERPRINT_SPAN_S`` seconds from
        ``i * FINGERPRINT_HOP_S`` seconds on the source clock. Empty for shorter sound.
    """

    levels: AudioLevels
    bands: BandPower
    mono: npt.NDArray[np.int16]
    fingerprint: npt.NDArray[np.uint32]


def scan_sound(path: Path, folder: Path) -> SoundScan | None:
    """Decode the sound of a video once; the picture is not decoded.

    Parameters
    ----------
    path : Path
    folder : Path
        An existing folder with room for 22 kB per second of sound. Nothing is left in it.

    Returns
    -------
    SoundScan or None
        None if the file has no sound stream. A stream of which nothing can be decoded gives empty arrays,
        which count as silence. In memory are, per second, some 100 numbers; the samples are not.

    Raises
    ------
    TransientError
        If the disk is full.
    PermanentError
        If the file is not a video, or if ``D2MIDI_FFMPEG`` names an ffmpeg without chromaprint.
    """
    info = probe(path)
    audio = info.audio
    if audio is None:
        return None
    source = ffmpeg.input(file_url(path), copyts=None, max_error_rate=1, vn=None)[str(audio.index)]
    placed = placed_sound(audio, info.video.start_s, 0.0)
    # swresample adds channels up in floats unless told to keep to full scale: then it averages.
    mono = f"{placed},aresample={MONO_HZ}:ochl=mono:osf=s16:rematrix_maxval=1"
    mono_file, fingerprint_file = folder / "sound.s16", folder / "sound.fingerprint"

    def output_of(name: str, **options: Any) -> Any:
        return ffmpeg.merge_outputs(
            source.output(name, af=f"{placed},aformat=sample_fmts=flt", **options),
            source.output(file_url(mono_file), af=mono, format="s16le", acodec="pcm_s16le"),
            source.output(file_url(fingerprint_file), af=mono, format="chromaprint", fp_format="raw"),
        )

    note_decode("audio", path)
    levels, bands = LevelMeter(), _BandMeter(audio.rate_hz)
    parts = read_samples(output_of, audio.channels, f"decoding the sound of {path.name}")
    try:
        for block in blocks_of(parts, audio.rate_hz):
            levels.add(block)
            bands.add(block)
        return SoundScan(
            levels.levels(), bands.bands(), _mapped(mono_file), np.fromfile(fingerprint_file, "<u4")
        )
    except PermanentError as error:
        if knows_chromaprint():
            raise
        raise PermanentError(
            f"{ffmpeg_exe()}, which D2MIDI_FFMPEG names, has no muxer chromaprint: unset D2MIDI_FFMPEG, or name an "
            "ffmpeg built with --enable-chromaprint",
            error.tool_message,
        ) from error
    finally:
        mono_file.unlink(missing_ok=True)
        fingerprint_file.unlink(missing_ok=True)


def _mapped(file: Path) -> npt.NDArray[np.int16]:
    """Samples of a file without having them in memory; they outlive its name."""
    if not file.stat().st_size:
        return np.zeros(0, dtype=np.int16)
    return np.memmap(file, "<i2", "r")


@functools.cache
def knows_chromaprint() -> bool:
    """Whether this ffmpeg can write chromaprint's fingerprints."""
    said = subprocess.run(
        [ffmpeg_exe(), "-hide_banner", "-h", "muxer=chromaprint"], capture_output=True, text=True, check=False
    )
    return "Muxer chromaprint" in said.stdout


class _BandMeter:
    """Takes blocks one after the other and keeps a mean spectrum of every ten.

    Windows overlap by half: what strikes where two blocks meet is at neither end of the window between them.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._n_bands = max(1, int(rate_hz / 2 / BAND_HZ))
        self._rows: list[npt.NDArray[np.float32]] = []
        self._sum = np.zeros(self._n_bands, dtype=np.float32)
        self._blocks = self._windows = 0
        self._before: Samples | None = None

    def add(self, block: Samples) -> None:
        """Measure the next block, shape=(n, channels), n > 0; full scale is 1."""
        if self._before is not None:
            half = len(self._before) // 2
            self._measure(np.concatenate([self._before[half:], block[:half]]))
        self._measure(block)
        self._before = block
        self._blocks += 1
        if self._blocks % _BLOCKS == 0:
            self._rows.append(self._sum / max(1, self._windows))
            self._sum, self._windows = np.zeros_like(self._sum), 0

    def bands(self) -> BandPower:
        """What was measured so far."""
        rows = self._rows + ([self._sum / self._windows] if self._windows else [])
        return BandPower(np.array(rows, dtype=np.float32).reshape(-1, self._n_bands), self._rate_hz)

    def _measure(self, window: Samples) -> None:
        if len(window) * BAND_HZ >= 2 * self._rate_hz:  # the last may be too short to part bands
            self._sum += _band_power(window, self._rate_hz, self._n_bands)
            self._windows += 1


def _band_power(block: Samples, rate_hz: int, n_bands: int) -> npt.NDArray[np.float32]:
    """Mean over channels of the power in each band, shape=(n_bands,), of sound of shape=(n, channels)."""
    from scipy.fft import rfft

    bell, edges = _bell_and_edges(len(block), rate_hz, n_bands)
    spectrum = rfft(block.T * bell, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=0)
    return np.asarray(np.add.reduceat(power, edges), dtype=np.float32)


@functools.lru_cache(maxsize=8)
def _bell_and_edges(
    n: int, rate_hz: int, n_bands: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """A Hann window that makes a sine's bins add up to its mean square, and the first bin of each band."""
    bell = np.hanning(n + 1)[:-1]
    bell *= np.sqrt(2 / (n * np.sum(bell**2)))
    edges = np.ceil(np.arange(n_bands) * BAND_HZ * n / rate_hz - 1e-9).astype(np.int64)
    return bell.astype(np.float32), edges
