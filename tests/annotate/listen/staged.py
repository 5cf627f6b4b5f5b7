"""A source of the Listen page whose tasks, drafts and sessions a test decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import ffmpeg
import numpy as np
import numpy.typing as npt
import soundfile

from d2midi_build.annotate.listen.source import Draft, Heard, NotLoggedIn, UnknownTask
from d2midi_build.media.ffmpeg import file_url, run

COOKIE = "csrftoken=x; sessionid=ada"
LOGIN = "http://127.0.0.1:1/user/login/"


@dataclass
class Staged:
    """Tasks by key, all with Label Studio's id 7; whoever has `COOKIE` is logged in.

    ``asked`` counts questions to "Label Studio".
    """

    tasks: dict[str, Heard]
    drafts: dict[str, Draft]
    cookie: str = COOKIE
    fails: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def draft(self, task_key: str, ls_task_id: int, cookie: str) -> Draft:
        self.asked.append(task_key)
        if self.fails is not None:
            raise self.fails
        if cookie != self.cookie:
            raise NotLoggedIn(LOGIN)
        if task_key not in self.tasks or ls_task_id not in (0, 7):
            raise UnknownTask(f"There is no task {task_key} with the id {ls_task_id}.")
        return self.drafts[task_key]

    def sheet(self, task_key: str) -> Heard:
        return self.tasks[task_key]


def write_video(path: Path, seconds: float, width: int = 160, height: int = 240) -> Path:
    """A moving test picture of 20 frames a second as H.264."""
    picture = ffmpeg.input(f"testsrc=size={width}x{height}:rate=20:duration={seconds}", format="lavfi")
    run(
        picture.output(
            file_url(path), vcodec="libx264", pix_fmt="yuv420p", g=20, preset="ultrafast", threads=1
        ),
        f"writing {path}",
    )
    return path


def write_sound(path: Path, samples: npt.NDArray[np.float32], rate_hz: int) -> Path:
    """FLAC of 16 bits."""
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path
