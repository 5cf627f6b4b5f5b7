"""A command per stage: ``d2midi crawl``, ``d2midi filter``, ..."""

from __future__ import annotations

from collections.abc import Callable

from d2midi_build.cli.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    QuietOption,
    RecipeOption,
    SourceOption,
    WorkersOption,
    WorkspaceOption,
)

_HELP = {
    "crawl": "Download the videos of a list (yt-dlp) or take in local files.",
    "filter": "Screen videos: find shots, count people, measure picture and sound.",
    "resample": "Cut accepted takes into clips: 20 frames/s, 10,240 samples/s, exactly 512 samples per frame.",
    "separate": "Part the sound into stems (`separate.method` in the recipe; none by default).",
    "transcribe": "Turn sound into notes and MIDI.",
    "opinions": "Let other transcribers listen, and tell how far they agree (`transcribe.others`; none by default).",
    "keypoints": "Track 3D keypoints of body, hands and face.",
    "beats": "Find musical beats in sound and notes, and kinematic beats in the movement.",
    "window": "Lay windows over clips (30 s every 2 s by default).",
}


def _command(name: str, text: str) -> Callable[..., None]:
    def command(
        workspace: WorkspaceOption = DEFAULT_WORKSPACE,
        source: SourceOption = None,
        recipe: RecipeOption = None,
        workers: WorkersOption = None,
        quiet: QuietOption = False,
        as_json: JsonOption = False,
    ) -> None:
        from d2midi_build.cli import running
        from d2midi_build.pipeline import Selection

        sources, chosen = running.read_options(workspace, source, recipe)
        names = ("resolve", "crawl") if name == "crawl" else (name,)
        running.run(workspace, sources, chosen, Selection(names), workers, quiet=quiet, as_json=as_json)

    command.__doc__ = (
        f"{text}\n\nRuns this stage alone, for every item whose earlier stages are done; "
        "`d2midi build` runs them all."
    )
    return command


COMMANDS = {name: _command(name, text) for name, text in _HELP.items()}
