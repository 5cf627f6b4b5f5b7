"""Fetch one video, or take in a local file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from d2midi_build.engine.base import Needs
from d2midi_build.stages.base import Made, Stage, Work
from d2midi_build.stages.resolve import HINTS, options
from d2midi_build.workspace import link_or_copy


def _run(work: Work) -> Made:
    import imageio_ffmpeg
    import yt_dlp.version

    from d2midi_build.crawl.download import download, local_file
    from d2midi_build.media.probe import probe

    if work.inputs["kind"] == "file":
        found = local_file(Path(work.inputs["url"]), options(work))
        made_by = {}
    else:
        found = download(
            work.inputs["url"],
            work.scratch,
            options(work),
            lambda got, total: work.report(got / total if total else 0.0),
            item=work.inputs["place"],
        )
        made_by = {"yt-dlp": yt_dlp.version.__version__, "imageio-ffmpeg": imageio_ffmpeg.__version__}
    media = probe(found.path)
    file = f"video{found.path.suffix.lower()}"
    # A link, so that the download in the scratch folder is still there if this attempt comes to nothing.
    # Of the file itself: a link to a symbolic link would point nowhere from the store.
    link_or_copy(found.path.resolve(), work.out / file)
    return Made(
        {
            "video_id": found.video_id,
            "file": file,
            "sha256": found.sha256,
            "bytes": found.bytes,
            "info": asdict(found.info),
            "media": media.to_facts(),
        },
        made_by,
    )


STAGE = Stage(
    name="crawl",
    version=1,
    reads=("crawl.format", "crawl.resolution_px"),
    unit="items",
    cpu_per_unit=2.0,
    run=_run,
    hints=HINTS,
    needs=Needs(network=True),
)
