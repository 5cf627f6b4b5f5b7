"""What the Listen page needs of the world: tasks, their media, drafts, and who may have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from d2midi_build import clock
from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.errors import UsageError


class NotLoggedIn(UsageError):
    """The browser has no session that Label Studio knows.

    Parameters
    ----------
    login : str
        Address of the page to log in at.
    """

    def __init__(self, login: str) -> None:
        super().__init__("Log in to Label Studio in this browser, then come back.")
        self.login = login


class UnknownTask(UsageError):
    """There is no such task, or it is not the one that the id in the address belongs to."""


@dataclass(frozen=True)
class Heard:
    """A task to listen to: all but the notes.

    Attributes
    ----------
    sheet : Sheet
        Its shown frames are what is played.
    title : str
    video : Path
        The dance, MP4.
    original : Path
        The recording, a file that libsndfile reads.
    video_start_s, original_start_s : float
        Where in the clip these files begin, in seconds; 0, the default, for files of the whole clip.
    context : tuple of Row
        Notes of other parts and sheets: played and drawn, but not the annotator's.
    beats_s : tuple of float
        Beats in seconds from the clip's first frame, ascending; empty where unknown.
    positions : tuple of int
        Place of each beat in its bar, from 1.
    note : str
        What else to show beside the title.
    """

    sheet: Sheet
    title: str
    video: Path
    original: Path
    video_start_s: float = 0.0
    original_start_s: float = 0.0
    context: tuple[Row, ...] = ()
    beats_s: tuple[float, ...] = ()
    positions: tuple[int, ...] = ()
    note: str = ""

    @property
    def shown_s(self) -> tuple[float, float]:
        """First and last moment to play, in seconds from the clip's first frame."""
        first, last = self.sheet.shown_frames
        return clock.frame_time_s(first), clock.frame_time_s(last)


@dataclass(frozen=True)
class Draft:
    """The notes of a task as its annotator has them now.

    Attributes
    ----------
    rows : mapping of int to Row
        By number; added notes have negative ones. All that could be read, if not all could.
    sent : mapping of int to Row
        As they were sent.
    problems : tuple of str
        What could not be read, and why.
    saved_at : str
        When Label Studio saved it, for people; empty if nothing has been changed yet.
    unread : collection of int
        Numbers of the notes sent of which the draft does not say in a way that can be read what became.
    """

    rows: Mapping[int, Row]
    sent: Mapping[int, Row]
    problems: tuple[str, ...] = ()
    saved_at: str = ""
    unread: Collection[int] = ()


class Source(Protocol):
    """Where tasks and drafts come from. Both methods are called from several threads."""

    def draft(self, task_key: str, ls_task_id: int, cookie: str) -> Draft:
        """The draft of whoever has this cookie. It is what decides who gets anything at all of a task.

        Parameters
        ----------
        task_key : str
            From the address; anything.
        ls_task_id : int
            Label Studio's id of the task, from the address; 0 if it has none, then the key alone says which task.
        cookie : str
            The browser's ``Cookie`` header, to be given to Label Studio and nowhere else.

        Raises
        ------
        NotLoggedIn
            If Label Studio does not know the session. Before `UnknownTask`: strangers must not learn what there is.
        UnknownTask
            If there is no such task, or it has another id.
        TransientError
            If Label Studio does not answer.
        """
        ...

    def sheet(self, task_key: str) -> Heard:
        """The task; asked for only after `draft` has let the browser in.

        Raises
        ------
        UnknownTask
            If there is no such task.
        """
        ...
