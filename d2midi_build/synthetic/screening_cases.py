"""The kinds of videos that screening has to judge: how each is drawn, and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from d2midi_build.errors import PermanentError


@dataclass(frozen=True)
class Case:
    """A kind of video.

    Attributes
    ----------
    name, family : str
        A family is left out as a whole when a threshold is judged: its source is ``synthetic/<family>``.
    verdict, people, body, background, camera, picture, sound, clipped, remark : str
        What is true of it: see the README of tests/real_data for the values.
    after : tuple of (str, str)
        What is true instead after the only cut; empty if the truth is one row.
    backdrop : str
        One of ``d2midi_build.synthetic.scenery.BACKDROPS``.
    cast, edit, move, overlay, grade, audio, treat : str
        Who is in the picture, how it is cut, how the camera moves, what is written over it, how it was
        exposed, which sound, and what was done to a copy: what `d2midi_build.synthetic.staging` knows.
    size_px, fps, duration_s
        Of the video.
    view_m, eye_m : float
        Height of what the picture shows at the dancer, and of the camera, metres.
    yaw_deg : float
        A dancer faces up to this many degrees to the left or right of the camera.
    bpm : tuple of float
        The dance's tempo lies between these.
    beats_per_pose : float
        Beats of the dance from pose to pose.
    music_tempo : float
        The music's tempo over the dance's.
    shift_s : tuple of float
        How much later than the dance the music starts: between these, and a quarter of a beat or more from
        any beat if the two differ.
    copy_of, music_of : str
        Name of the case whose picture and sound, or whose music and tempo, this one has.
    """

    name: str
    family: str
    verdict: str = "good"
    people: str = "one"
    body: str = "full"
    background: str = "pure"
    camera: str = "fixed"
    picture: str = "moving"
    sound: str = "music"
    clipped: str = "no"
    remark: str = ""
    after: tuple[tuple[str, str], ...] = ()
    backdrop: str = "grey"
    cast: str = "solo"
    edit: str = ""
    move: str = ""
    overlay: str = ""
    grade: str = ""
    audio: str = "music"
    treat: str = ""
    size_px: tuple[int, int] = (640, 360)
    fps: int = 25
    duration_s: float = 10.0
    view_m: float = 2.8
    eye_m: float = 1.15
    yaw_deg: float = 25.0
    bpm: tuple[float, float] = (88.0, 138.0)
    beats_per_pose: float = 1.0
    music_tempo: float = 1.0
    shift_s: tuple[float, float] = (0.0, 0.0)
    copy_of: str = ""
    music_of: str = ""


def _cases() -> tuple[Case, ...]:
    upright, square = (360, 640), (480, 480)
    return (
        Case("grey", "good"),
        Case("white", "good", backdrop="white", fps=30),
        Case("coloured", "good", backdrop="coloured", view_m=3.2),
        Case("gradient", "good", backdrop="gradient", duration_s=12.0, yaw_deg=0.0),
        Case("studio", "good", backdrop="studio", view_m=3.2, yaw_deg=40.0),
        Case("panels", "good", backdrop="panels", background="light", remark="thin seams in the wall"),
        Case("upright", "good", backdrop="studio", size_px=upright, view_m=3.4, fps=30),
        Case("upright-coloured", "good", backdrop="coloured", size_px=upright, view_m=3.4),
        Case("square", "good", backdrop="gradient", size_px=square),
        Case("black-and-white", "good", grade="grey"),
        Case("darker", "good", grade="dark", backdrop="studio"),
        Case("brighter", "good", grade="bright"),
        Case("grainy", "good", grade="grain", backdrop="coloured"),
        Case("far-away", "good", backdrop="studio", view_m=3.75, remark="45 % of the height"),
        Case("drift", "good", camera="moves", move="drift", remark="a slow drift of 2 % of the width"),
        Case("fast", "good", bpm=(156, 176), beats_per_pose=2.0, backdrop="gradient"),
        Case("slow", "good", bpm=(68, 80), backdrop="white"),
        Case("same-music", "good", backdrop="studio", music_of="grey", remark="another dancer"),
        Case("pair", "people", "bad", people="several", cast="pair"),
        Case("pair-upright", "people", "bad", people="several", cast="close-pair", size_px=upright, view_m=3.6),
        Case("trio", "people", "bad", people="several", cast="trio", backdrop="studio"),
        Case("crossing", "people", "bad", people="several", cast="crossing", remark="one passes behind the other"),
        Case("visitor-10", "people", "unclear", people="several", cast="visitor-10", remark="for 10 % of the time"),
        Case("visitor-50", "people", "bad", people="several", cast="visitor-50", remark="for half of the time"),
        Case("bystander", "people", "unclear", people="several", cast="far", backdrop="studio",
             remark="a second person far behind, a third of the dancer's size"),
        Case("nobody", "people", "bad", people="none", body="none", picture="still", cast="nobody"),
        Case("leaver", "people", "unclear", cast="leaver", remark="out of view in the second half"),
        Case("door", "background", "unclear", background="light", backdrop="door"),
        Case("plant", "background", "unclear", background="light", backdrop="plant"),
        Case("tripod", "background", "unclear", background="light", backdrop="tripod"),
        Case("shelves", "background", "bad", background="busy", backdrop="shelves"),
        Case("posters", "background", "bad", background="busy", backdrop="posters"),
        Case("brick", "background", "unclear", background="busy", backdrop="brick", remark="even texture"),
        Case("checkerboard", "background", "bad", background="busy", backdrop="checkerboard"),
        Case("street", "background", "bad", background="busy", backdrop="street", remark="cars pass"),
        Case("light-show", "background", "bad", background="busy", backdrop="light-show"),
        Case("video-wall", "background", "bad", background="busy", backdrop="video-wall"),
        Case("street-upright", "background", "bad", background="busy", backdrop="street", size_px=upright, view_m=3.4),
        Case("pan-busy", "camera", "bad", background="busy", camera="moves", move="pan", backdrop="posters"),
        Case("zoom-light", "camera", "unclear", background="light", camera="moves", move="zoom", backdrop="door",
             view_m=3.4),
        Case("shake-busy", "camera", "bad", background="busy", camera="moves", move="shake", backdrop="shelves"),
        Case("shake-light", "camera", "unclear", background="light", camera="moves", move="shake", backdrop="plant"),
        Case("pan-plain", "camera", "unclear", camera="moves", move="pan", remark="a wide pan before a plain wall"),
        Case("montage", "editing", edit="dancers", duration_s=12.0, remark="other dancers, one wall"),
        Case("montage-walls", "editing", edit="walls", duration_s=12.0, remark="other dancers and plain walls"),
        Case("half-busy", "editing", edit="busy", after=(("verdict", "bad"), ("background", "busy"))),
        Case("end-card", "editing", edit="card", duration_s=12.0,
             after=(("verdict", "bad"), ("people", "none"), ("body", "none"), ("picture", "still"))),
        Case("flashes", "editing", "unclear", overlay="flash", remark="white flashes, no cuts"),
        Case("mirrored", "editing", copy_of="grey", treat="mirror"),
        Case("cropped", "editing", copy_of="coloured", treat="crop"),
        Case("re-encoded", "editing", copy_of="studio", treat="recode", remark="smaller, strongly compressed"),
        Case("captions", "editing", "unclear", overlay="caption", remark="lyrics over the feet"),
        Case("title", "editing", "bad", overlay="title", remark="big words over the dancer"),
        Case("logo", "editing", overlay="logo", remark="a small logo in the corner"),
        Case("upper-body", "body", "bad", body="part", view_m=1.15, eye_m=1.42),
        Case("face", "body", "bad", body="part", view_m=0.5, eye_m=1.72),
        Case("feet-cut", "body", "bad", body="part", view_m=1.95, eye_m=1.3, remark="feet below the picture"),
        Case("legs-half", "body", "bad", body="part", cast="closer", view_m=3.0, eye_m=1.45,
             remark="comes close: legs out of view in the second half"),
        Case("still", "picture", "bad", picture="still", grade="frozen"),
        Case("black", "picture", "bad", people="none", body="none", background="", picture="still", cast="nobody",
             grade="black"),
        Case("standing", "picture", "bad", picture="still", cast="standing", remark="sways by a centimetre"),
        Case("speech", "sound", "bad", sound="speech", audio="speech"),
        Case("speech-upright", "sound", "bad", sound="speech", audio="speech", size_px=upright, view_m=3.4),
        Case("speech-over-music", "sound", "bad", sound="music_speech", audio="speech-over-music"),
        Case("few-words", "sound", "unclear", sound="music_speech", audio="few-words", remark="words for 2 s"),
        Case("white-noise", "sound", "bad", sound="noise", audio="white"),
        Case("pink-noise", "sound", "bad", sound="noise", audio="pink"),
        Case("crowd", "sound", "bad", sound="noise", audio="crowd"),
        Case("silence", "sound", "bad", sound="silent", audio="silence"),
        Case("no-sound", "sound", "bad", sound="none", clipped="", audio="none"),
        Case("clipped", "sound", "bad", clipped="yes", audio="clipped", remark="12 dB over full scale"),
        Case("quiet", "sound", "unclear", audio="quiet", remark="28 dB softer than the others"),
        Case("narrow-band", "sound", audio="narrow", remark="nothing above 3.4 kHz: dull, but clear"),
        Case("wrong-tempo", "sync", "bad", music_tempo=1.17, remark="dance and music have other tempi"),
        Case("late-180", "sync", "unclear", shift_s=(0.18, 0.18), remark="music 180 ms late"),
        Case("late", "sync", "bad", shift_s=(0.2, 1.0), remark="music late by no whole number of beats"),
        Case("half-beats", "sync", bpm=(64, 74), beats_per_pose=0.5, remark="a pose on every half beat"),
        Case("every-other", "sync", bpm=(100, 138), beats_per_pose=2.0, remark="a pose on every second beat"),
    )  # fmt: skip


CASES: Final = _cases()


def case_named(name: str) -> Case:
    """The case of that name.

    Raises
    ------
    PermanentError
        If there is none.
    """
    for case in CASES:
        if case.name == name:
            return case
    raise PermanentError(f"no screening case {name!r}")
