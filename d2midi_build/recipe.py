"""Every knob of a build. Defaults are the Dance2MIDI paper's figures where it gives one.

A recipe is TOML with a table per stage; a file names only what it changes. Fields a stage reads decide
its key (see ``stages.base.Stage.reads``), so changing one re-runs that stage and what depends on it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from d2midi_build import clock
from d2midi_build.errors import RecipeError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CrawlRecipe(_Section):
    """Fetching videos. Only ``format`` and ``resolution_px`` change which bytes a video has; limits change
    which videos are refused; the rest says how."""

    format: str = Field("bv*+ba/b", min_length=1, description="yt-dlp format selection.")
    resolution_px: int = Field(
        1080,
        ge=144,
        description="Wanted short side of the picture: the largest not above it, else the smallest above.",
    )
    max_duration_s: float | None = Field(1800.0, gt=0, description="Longer videos are refused.")
    max_bytes: int | None = Field(
        2 * 1024**3,
        gt=0,
        description="Larger files are refused, announced or not. Joining picture and sound needs twice the room.",
    )
    min_free_bytes: int = Field(
        1024**3, ge=0, description="Downloads stop, to be resumed, before the disk has less room than this."
    )
    honour_opt_out: bool = Field(
        True, description="Refuse what a server marks `X-Robots-Tag: noai` or `tdm-reservation: 1`."
    )
    rate_limit_bytes_s: int | None = Field(None, gt=0, description="Bytes per second for one download.")
    retries: int = Field(
        5, ge=0, description="Further tries of a request; not for rate limits and bot checks."
    )
    backoff_s: float = Field(1.0, ge=0, description="Seconds before the first retry; doubles, at most 60.")
    socket_timeout_s: float = Field(30.0, gt=0, description="Seconds without an answer that are a failure.")
    sleep_requests_s: float = Field(0.5, ge=0, description="Seconds between requests that read one page.")
    sleep_s: float = Field(
        5.0,
        ge=0,
        description="Least seconds between two starts on one site; up to half more is added at random.",
    )
    parallel: int = Field(4, ge=1, le=64, description="Downloads at a time, all sites together.")
    per_site: int = Field(2, ge=1, description="Downloads at a time on one site.")
    breaker_after: int = Field(
        3, ge=1, description="Rate limits or bot checks in a row after which a site is left alone."
    )
    breaker_cooldown_s: float = Field(
        900.0,
        ge=0,
        description="For how many seconds; doubles while the site stays angry, at most eightfold.",
    )
    cookies: Path | None = Field(None, description="Netscape cookies file; read, never written.")
    cookies_from_browser: str | None = Field(None, description="BROWSER[+KEYRING][:PROFILE][::CONTAINER].")
    proxy: str | None = Field(
        None, description="http, https or socks5 URL; empty: none, whatever the environment says."
    )


class FilterRecipe(_Section):
    """Screening. ``scan_height``, ``samples_per_s`` and ``silent_below_db`` decide what is measured; the rest are
    thresholds, applied to the stored scores, so that changing one decodes nothing again."""

    scan_height: int = Field(360, ge=120, le=1080, description="Height in pixels videos are scanned at.")
    samples_per_s: float = Field(
        1.0, gt=0, le=20, description="Frames per second given to the people detector."
    )
    nobody_review: float = Field(
        0.2, ge=0, le=1, description="Share of samples without a person: review above."
    )
    nobody_reject: float = Field(0.5, ge=0, le=1, description="The same: reject above.")
    several_review: float = Field(
        0.08, ge=0, le=1, description="Share of samples with more than one person: review above."
    )
    several_reject: float = Field(0.25, ge=0, le=1, description="The same: reject above.")
    overlap_review: float = Field(
        0.1, ge=0, le=1, description="Share of samples in which somebody overlaps the dancer: review above."
    )
    overlap_reject: float = Field(0.35, ge=0, le=1, description="The same: reject above.")
    small_review: float = Field(
        0.35, ge=0, description="Height of the dancer, share of the picture: review below."
    )
    small_reject: float = Field(0.2, ge=0, description="The same: reject below.")
    body_review: float = Field(
        0.75, ge=0, le=1, description="Share of samples with the whole body in view: review below."
    )
    body_reject: float = Field(0.5, ge=0, le=1, description="The same: reject below.")
    background_review: float = Field(0.7, ge=0, description="Clutter of the background: review above.")
    background_reject: float = Field(1.7, ge=0, description="The same: reject above.")
    moving_background_review: float = Field(
        4.0, ge=0, description="Median change of the background between samples in grey levels: review above."
    )
    moving_background_reject: float = Field(15.0, ge=0, description="The same: reject above.")
    camera_review: float = Field(
        0.1, ge=0, description="Speed of the camera in picture heights per second: review above."
    )
    camera_reject: float = Field(0.5, ge=0, description="The same: reject above.")
    still_review: float = Field(
        0.5, ge=0, description="Median change of the picture between samples in grey levels: review below."
    )
    still_reject: float = Field(0.15, ge=0, description="The same: reject below.")
    silent_below_db: float = Field(
        -50.0, le=0, description="Loudness in dBFS under which a 0.1 s block is silent."
    )
    silent_review: float = Field(0.2, ge=0, le=1, description="Share of silent blocks: review above.")
    silent_reject: float = Field(0.5, ge=0, le=1, description="The same: reject above.")
    quiet_review: float = Field(-40.0, le=0, description="Level of the sound in dBFS: review below.")
    quiet_reject: float = Field(-55.0, le=0, description="The same: reject below.")
    clipped_review: float = Field(
        0.004, ge=0, le=1, description="Share of samples in runs at full scale: review above."
    )
    clipped_reject: float = Field(0.04, ge=0, le=1, description="The same: reject above.")
    music_review: float = Field(
        0.6, ge=0, le=1, description="Share of windows of sound that are music: review below."
    )
    music_reject: float = Field(0.3, ge=0, le=1, description="The same: reject below.")
    speech_review: float = Field(
        0.2, ge=0, le=1, description="Share of windows that are a voice without music: review above."
    )
    speech_reject: float = Field(0.5, ge=0, le=1, description="The same: reject above.")
    noise_review: float = Field(
        -6.0,
        le=0,
        description="Steady noise beside the loud moments, the most it can be, in dB: review above.",
    )
    noise_reject: float = Field(-1.5, le=0, description="The same: reject above.")
    bandwidth_review: float = Field(
        3000.0, ge=0, description="Up to which frequency the sound has content, in Hz: review below."
    )
    bandwidth_reject: float = Field(1500.0, ge=0, description="The same: reject below.")
    review: Literal["keep", "drop"] = Field("drop", description="Whether takes that need a human eye go on.")


class ResampleRecipe(_Section):
    """The clip on the one clock (section 3.2)."""

    height: int = Field(640, ge=64, le=2160, description="Height of the clip in pixels; never enlarged.")
    crf: int = Field(20, ge=0, le=51, description="H.264 quality; lower is better and larger.")


class SeparateRecipe(_Section):
    """Parting the audio before transcription (section 3.3)."""

    method: Literal["none", "hpss", "demucs"] = Field("none", description="How stems are made.")
    demucs_model: str = Field("htdemucs", description="Name of the demucs model in your folder.")
    demucs_folder: str = Field("", description="Folder with your demucs weights.")


class TranscribeRecipe(_Section):
    """Audio to notes (section 3.3)."""

    transcriber: str = Field(
        "embedded", description="Name of a transcriber; a wrong one is answered with the list."
    )
    others: tuple[str, ...] = Field(
        (),
        description="Further transcribers that listen to the same sound. The notes stay those of `transcriber`; how "
        "many of the others agree with each is told, and sheets where they differ come first in correcting.",
    )
    audio: Literal["native", "clip"] = Field(
        "native", description="The original audio, or the clip's 10,240 Hz, which has lost the hi-hats."
    )
    vocals: Literal["drop", "lead", "review"] = Field(
        "review",
        description="Notes judged sung: left out, or handed to Lead 1 (square), or only told by their origin, and "
        "clips with much singing marked for review.",
    )
    vocals_review_above: float = Field(
        0.5,
        ge=0,
        le=1,
        description='With `vocals = "review"`: vocal share of a clip above which it is marked for review.',
    )

    @field_validator("others", mode="before")
    @classmethod
    def _in_order(cls, given: Any) -> Any:
        """Their order means nothing, so it must not change a key."""
        names = [given] if isinstance(given, str) else given
        each_is_one = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
        return tuple(sorted(names)) if each_is_one else given


class BasicPitchRecipe(_Section):
    """The transcriber basic-pitch, with its own defaults; used only where ``transcribe`` names it."""

    onset_threshold: float = Field(0.5, gt=0, lt=1, description="Least activation of a note's start.")
    frame_threshold: float = Field(0.3, gt=0, lt=1, description="Least activation of its continuation.")
    minimum_frames: int = Field(
        11, ge=0, description="Notes of at most so many frames of 11.6 ms are dropped."
    )
    melodia: bool = Field(True, description="Make notes of energy without an onset as well.")


class Mt3Recipe(_Section):
    """The transcriber mt3, which needs a checkpoint of the user's; used only where ``transcribe`` names it."""

    model: str = Field(
        "mt3", description="Name of a model that `d2midi models add` registered, or the path of a checkpoint."
    )
    decode: Literal["reference", "argmax"] = Field(
        "reference",
        description="How tokens are chosen: as Magenta's notebook does (T5X's beam search with one beam), or always "
        "the likeliest.",
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="What the network computes in. Halves are for a GPU, where they are faster, and choose other "
        "tokens now and then.",
    )
    batch: int = Field(32, ge=1, description="Segments decoded at a time; changes speed and memory only.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="What computes; `auto` takes CUDA where PyTorch finds it."
    )


class BeatsRecipe(_Section):
    """Musical beats from sound and notes, kinematic beats from keypoints."""

    least_confidence: float = Field(
        0.6, ge=0, le=1, description="Musical beats below this confidence are unknown: none are kept."
    )
    least_prominence: float = Field(
        0.15,
        gt=0,
        description="Least depth of a minimum of the joints' speed, in shares of its median, that is a beat.",
    )
    review: bool = Field(
        True,
        description="Mark clips for review whose dance does not seem to go with their music; none is rejected.",
    )
    lag_review_above_s: float = Field(
        0.15,
        ge=0,
        description="Mean distance of the dance from the beat in seconds: marked for review above.",
    )


class GroupsRecipe(_Section):
    """Takes that share music, performer or video. They are always told (table ``groups``), so that no split parts
    them."""

    repeats: Literal["group", "drop", "forbid"] = Field(
        "group",
        description="Music or picture that comes again in another video: keep all and tell the groups, or keep the "
        "best video of each group, or stop the build before clips are made and tell what repeats.",
    )


class WindowRecipe(_Section):
    """Views of clips (section 3.4)."""

    frames: int = Field(clock.WINDOW_FRAMES, ge=1, description="Frames of a window.")
    stride: int = Field(clock.WINDOW_STRIDE, ge=1, description="Frames between window starts.")


class ReleaseRecipe(_Section):
    """What a release may hold and how it is split; read by `d2midi release build` alone."""

    name: str = Field("dance-notes", min_length=1, description="Of the dataset, on its card.")
    about: str = Field("", description="What the dataset is, in your words: the first paragraph of its card.")
    licence: str = Field("", description="Of the release as a whole, as Hugging Face writes it: `cc-by-4.0`.")
    contact: str = Field("", description="Where to write to, also to have something removed; on the card.")
    citation: str = Field("", description="How to cite it; on the card.")
    licences: tuple[str, ...] = Field(
        (),
        description="Licences that videos may have, as patterns (`CC*`); a video with another one stops the release. "
        "None: any, also an unknown one.",
    )
    audio: Literal["allowed", "none"] = Field(
        "allowed", description="Sound goes along where `audio_licences` allows it, or never."
    )
    audio_licences: tuple[str, ...] = Field(
        (
            "CC0*",
            "CC BY [0-9]*",
            "CC BY-SA*",
            "CC BY-NC [0-9]*",
            "CC BY-NC-SA*",
            "CC-BY-[0-9]*",
            "CC-BY-SA*",
            "CC-BY-NC-[0-9]*",
            "CC-BY-NC-SA*",
            "Creative Commons Attribution license (reuse allowed)",
            "Public domain*",
            "CC BY",
        ),
        description="Licences with which a clip's sound may be passed on, as patterns; upper and lower case are the "
        "same. Those without derivatives are not among them: the sound is cut and of a lower rate.",
    )
    least_body_share: float = Field(
        0.5, ge=0, le=1, description="A clip with a body in fewer of its frames stops the release."
    )
    keep_apart: tuple[Literal["music", "performer", "video"], ...] = Field(
        ("music", "performer", "video"), description="What no two splits may share."
    )
    split: Literal["drop-crossing", "whole"] = Field(
        "drop-crossing",
        description="A group that is most of its genre is cut, and what would join two splits left out; or never cut.",
    )
    validation_share: float = Field(0.1, ge=0, lt=0.5, description="Share of each genre's frames.")
    test_share: float = Field(0.1, ge=0, lt=0.5, description="The same; train is the rest.")
    seed: int = Field(0, ge=0, description="Of the splits.")
    shard_mb: float = Field(
        256.0, gt=0, description="About how large the largest files become, in megabytes."
    )


class RunRecipe(_Section):
    """How a build runs; nothing here changes a result."""

    workers: int = Field(0, ge=0, description="Worker processes; 0 is one per core.")
    item_timeout_s: float = Field(
        14_400.0,
        gt=0,
        description="An item that neither ends nor gets on by a hundredth for so long counts as hung.",
    )
    min_free_gb: float = Field(
        1.0, ge=0, description="A build stops before the disk has less room than this."
    )


_WHICH_VIDEOS = ("format", "resolution_px", "max_duration_s", "max_bytes", "honour_opt_out")
"""What of crawling decides which videos there are; the rest says how they are fetched, and from where."""


class Recipe(_Section):
    """A whole recipe. ``Recipe()`` is the default; ``Recipe.load(path)`` reads a file."""

    crawl: CrawlRecipe = CrawlRecipe()
    filter: FilterRecipe = FilterRecipe()
    resample: ResampleRecipe = ResampleRecipe()
    separate: SeparateRecipe = SeparateRecipe()
    transcribe: TranscribeRecipe = TranscribeRecipe()
    basic_pitch: BasicPitchRecipe = BasicPitchRecipe()
    mt3: Mt3Recipe = Mt3Recipe()
    beats: BeatsRecipe = BeatsRecipe()
    groups: GroupsRecipe = GroupsRecipe()
    window: WindowRecipe = WindowRecipe()
    release: ReleaseRecipe = ReleaseRecipe()
    run: RunRecipe = RunRecipe()

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe from a TOML file.

        Raises
        ------
        RecipeError
            If the file is missing, not TOML, or has an unknown field or impossible value; the
            message names each field.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise RecipeError(
                f"cannot read the recipe {path}: {error.strerror}. `d2midi recipe init` writes one."
            ) from error
        except UnicodeDecodeError as error:
            raise RecipeError(f"the recipe {path} is not UTF-8 text: {error}") from error
        return cls.parse(text, origin=str(path))

    @classmethod
    def parse(cls, text: str, origin: str = "recipe") -> Recipe:
        """Read a recipe from TOML text; raises as ``load``."""
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{origin} is not TOML: {error}") from error
        except ValidationError as error:
            raise RecipeError(f"{origin}: {_explain(error)}") from error

    def with_field(self, name: str, value: Any) -> Recipe:
        """A copy with one field changed, named as in ``"window.frames"``; raises ``RecipeError``."""
        section, _, field = name.partition(".")
        data = self.model_dump()
        if section not in data or field not in data[section]:
            raise RecipeError(f"no recipe field is called {name!r}: `d2midi recipe show` lists them")
        data[section][field] = value
        try:
            return Recipe.model_validate(data)
        except ValidationError as error:
            raise RecipeError(_explain(error)) from error

    def field(self, name: str) -> Any:
        """The value of a field named as in ``"window.frames"``."""
        section, _, field = name.partition(".")
        return getattr(getattr(self, section), field)

    def published(self) -> dict[str, Any]:
        """The recipe as plain data, without what concerns only the builder's machine: paths, logins, processes."""
        how = set(CrawlRecipe.model_fields) - set(_WHICH_VIDEOS)
        exclude: Any = {
            "run": True,
            "crawl": how,
            "separate": {"demucs_folder"},
            "mt3": {"model", "batch", "device"},  # the weights' digest is told with the notes
        }
        return self.model_dump(mode="json", exclude=exclude)

    def to_toml(self) -> str:
        """The whole recipe as TOML with each field's meaning as a comment."""
        import tomlkit

        document = tomlkit.document()
        document.add(
            tomlkit.comment("A d2midi recipe: every field with its value. Delete what you do not change.")
        )
        for section, model in self:
            document.add(tomlkit.nl())
            table = tomlkit.table()
            for line in (type(model).__doc__ or "").strip().splitlines():
                table.add(tomlkit.comment(line.strip()))
            for name, value in model:
                table.add(tomlkit.comment(type(model).model_fields[name].description or ""))
                if value is None:  # TOML has no word for "not set"
                    table.add(tomlkit.comment(f"{name} ="))
                else:
                    table.add(name, _plain(value))
            document.add(section, table)
        return tomlkit.dumps(document)


def field_names() -> list[str]:
    """Names of all fields as ``section.field``, in order."""
    return [f"{section}.{name}" for section, model in Recipe() for name, _ in model]


def _plain(value: Any) -> Any:
    """A value as TOML knows it."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown field {where} (`d2midi recipe show` lists all fields)")
        else:
            lines.append(f"{where} = {problem['input']!r}: {problem['msg']}")
    return "; ".join(lines)
