"""``d2midi doctor``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption


def doctor(workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Look at what a build depends on: ffmpeg, models, yt-dlp's age, a JavaScript runtime, disk, what works offline."""
    from d2midi_build.diagnosis import diagnose

    findings = diagnose(workspace)
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            typer.echo(f"{finding.state:<8} {finding.name:<16} {finding.text}")
    if any(finding.state == "error" for finding in findings):
        sys.exit(1)
