from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from d2midi_build.errors import PermanentError
from d2midi_build.media.probe import probe
from tests.media.making import clicks, regular, write_media


def test_what_a_file_is(tmp_path: Path) -> None:
    path = write_media(
        tmp_path / "a.mp4",
        regular(30, 1.0, 0.2),
        clicks(44_100, 0.1, 1.2),
        sound_start_s=0.1,
        rate_hz=44_100,
        layout="5.1",
        rotation=90,
        pixel_aspect=Fraction(4, 3),
        pix_fmt="yuv420p10le",
        transfer=16,
    )
    info = probe(path)
    video, audio = info.video, info.audio
    assert audio is not None
    assert (video.codec, video.width, video.height, video.pixel_aspect) == (
        "h264",
        128,
        96,
        pytest.approx(4 / 3),
    )
    assert (video.rotation, video.display_width, video.display_height) == (90, 96, 171)
    assert (video.pix_fmt, video.bit_depth, video.transfer, video.hdr) == (
        "yuv420p10le",
        10,
        "smpte2084",
        True,
    )
    assert video.start_s == pytest.approx(0.2, abs=1e-3)
    assert (audio.codec, audio.rate_hz, audio.channels, audio.bits) == ("aac", 44_100, 6, 0)
    assert audio.start_s == pytest.approx(-0.1, abs=0.03)
    assert info.to_facts() == {
        "duration_s": info.duration_s,
        "width": 96,
        "height": 171,
        "fps": pytest.approx(30, abs=0.5),
        "rotation": 90,
        "video_codec": "h264",
        "hdr": True,
        "audio_codec": "aac",
        "audio_rate_hz": 44_100,
        "audio_channels": 6,
    }


def test_no_sound_is_none(tmp_path: Path) -> None:
    info = probe(write_media(tmp_path / "a.mkv", regular(25, 0.4)))
    assert info.audio is None
    assert not info.video.hdr
    assert info.to_facts()["audio_codec"] is None


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"hello, this is no film\n" * 400, "not a media file"), (None, "cannot be read")],
)
def test_what_is_not_media(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PermanentError, match=words) as caught:
        probe(path)
    assert "a.mp4" in str(caught.value)
    assert caught.value.tool_message


def test_sound_alone_has_no_video(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", clicks(8000, 0, 1), 8000)
    with pytest.raises(PermanentError, match="no video stream"):
        probe(tmp_path / "a.wav")


def test_an_mp4_without_its_index_is_broken(tmp_path: Path) -> None:
    whole = write_media(tmp_path / "w.mp4", regular(30, 1.0)).read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PermanentError, match="broken"):
        probe(tmp_path / "a.mp4")
