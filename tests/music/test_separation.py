"""Stems: that they add up, part what they should, and load the user's weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import d2midi_build.music.separation as module
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.music.separation import DEMUCS_STEMS, demucs, demucs_files, hpss

RATE_HZ = 22_050


def _tone_and_clicks() -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 440 * t)
    clicks = np.zeros_like(tone)
    clicks[RATE_HZ // 4 :: RATE_HZ // 2] = 0.9
    return tone.astype(np.float32), clicks.astype(np.float32)


def test_hpss_parts_a_tone_from_clicks_and_adds_up() -> None:
    tone, clicks = _tone_and_clicks()
    stems = hpss(tone + clicks, RATE_HZ)
    assert np.abs(stems["harmonic"] + stems["percussive"] - tone - clicks).max() < 1e-5
    assert np.corrcoef(stems["harmonic"], tone)[0, 1] > 0.99
    assert np.corrcoef(stems["percussive"], clicks)[0, 1] > 0.85


@pytest.mark.parametrize("shape", [(0,), (1,), (100, 2), (9000, 6)])
@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
def test_hpss_keeps_any_shape(shape: tuple[int, ...], rate_hz: int) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)
    stems = hpss(audio, rate_hz)
    assert all(stem.shape == shape and stem.dtype == np.float32 for stem in stems.values())
    assert np.abs(sum(stems.values()) - audio).max(initial=0.0) < 1e-5


def test_hpss_in_pieces_has_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    tone, clicks = _tone_and_clicks()
    audio = np.tile(tone + clicks, 3)
    whole = hpss(audio, RATE_HZ)
    monkeypatch.setattr(module, "_PIECE_S", 1.5)
    pieces = hpss(audio, RATE_HZ)
    assert np.abs(pieces["harmonic"] - whole["harmonic"]).max() < 1e-4


def test_hpss_refuses_what_is_no_number() -> None:
    with pytest.raises(PermanentError, match="not numbers"):
        hpss(np.full(1000, np.nan, np.float32), RATE_HZ)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained HTDemucs in the official file format, and a bag that names it."""
    torch = pytest.importorskip("torch")
    from demucs.htdemucs import HTDemucs
    from demucs.states import get_state, save_with_checksum

    torch.manual_seed(0)
    small = {"channels": 4, "depth": 2, "nfft": 512, "dconv_depth": 1, "dconv_comp": 2, "t_layers": 1}
    model = HTDemucs(sources=list(DEMUCS_STEMS), t_heads=2, segment=1, samplerate=8000, **small)
    args, kwargs = model._init_args_kwargs
    package = {"klass": HTDemucs, "args": args, "kwargs": kwargs, "state": get_state(model, None)}
    folder = tmp_path_factory.mktemp("weights")
    save_with_checksum(package, folder / "0badcafe.th")
    (folder / "tiny.yaml").write_text("models: ['0badcafe']\n")
    return folder


def test_demucs_loads_by_signature_and_by_bag(weights: Path) -> None:
    pytest.importorskip("torch")
    audio = np.random.default_rng(1).normal(0, 0.1, (8000 * 2 + 3, 2)).astype(np.float32)
    stems = demucs(audio, 8000, "0badcafe", weights)
    assert tuple(stems) == DEMUCS_STEMS
    assert all(stem.shape == audio.shape and np.isfinite(stem).all() for stem in stems.values())
    again = demucs(audio, 8000, "tiny", weights)
    assert all(np.array_equal(stems[name], again[name]) for name in DEMUCS_STEMS)


def test_demucs_takes_any_rate_and_channels(weights: Path) -> None:
    pytest.importorskip("torch")
    for shape, rate_hz in (((11_025,), 11_025), ((4000, 6), 4000), ((16_000, 2), 16_000)):
        audio = np.random.default_rng(2).normal(0, 0.1, shape).astype(np.float32)
        assert demucs(audio, rate_hz, "tiny", weights)["bass"].shape == (shape[0], 2)
    assert not demucs(np.zeros(1000, np.float32), 8000, "tiny", weights)["drums"].any()


def test_demucs_files_are_what_a_key_must_cover(weights: Path) -> None:
    names = [path.name for path in demucs_files("tiny", weights)]
    assert names[1] == "tiny.yaml"
    assert names[0].startswith("0badcafe-")


def test_demucs_says_what_is_missing(weights: Path, tmp_path: Path) -> None:
    audio = np.zeros(100, np.float32)
    with pytest.raises(UsageError, match="no folder"):
        demucs(audio, 8000, "tiny", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="there is: 0badcafe, tiny"):
        demucs(audio, 8000, "huge", weights)
    (tmp_path / "bag.yaml").write_text("models: ['11111111']\n")
    with pytest.raises(UsageError, match=r"needs weights that are not in .*: 11111111"):
        demucs(audio, 8000, "bag", tmp_path)


def test_damaged_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = next(weights.glob("*.th"))
    (tmp_path / path.name).write_bytes(path.read_bytes()[:-100] + bytes(100))
    with pytest.raises(UsageError, match="Invalid checksum"):
        demucs(np.zeros(100, np.float32), 8000, "0badcafe", tmp_path)


def test_demucs_without_the_package(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "demucs.apply", None)
    module._demucs_model.cache_clear()
    with pytest.raises(UsageError, match="extra 'demucs'"):
        demucs(np.zeros(100, np.float32), 8000, "tiny", weights)
