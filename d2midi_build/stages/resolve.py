"""What a URL stands for: one video, or those of a playlist, channel, feed or page."""

from __future__ import annotations

from typing import Any

from d2midi_build.digests import sha256_data
from d2midi_build.engine.base import Needs
from d2midi_build.recipe import CrawlRecipe
from d2midi_build.stages.base import Made, Stage, Work

HINTS = tuple(f"crawl.{name}" for name in CrawlRecipe.model_fields)


def options(work: Work) -> CrawlRecipe:
    """The recipe's section ``crawl`` as it reached a worker."""
    return CrawlRecipe(**{name: work.params[f"crawl.{name}"] for name in CrawlRecipe.model_fields})


def _run(work: Work) -> Made:
    from d2midi_build.crawl.resolve import plainly_one, resolve

    url, how = work.inputs["url"], options(work)
    one = plainly_one(url, how)
    entries: dict[str, dict[str, Any]] = {}
    for found in [one] if one else resolve(url, how):
        # The site's own id where it has one, so that two URLs of one video are fetched once.
        item = found.video_id or f"url-{sha256_data([found.url, found.item])[:16]}"
        entries.setdefault(item, {"item": item, "url": found.url, "place": found.item, "title": found.title})
    return Made({"entries": list(entries.values()), "asked": one is None})


STAGE = Stage(
    name="resolve",
    version=1,
    reads=(),
    unit="items",
    cpu_per_unit=0.5,
    run=_run,
    hints=HINTS,
    needs=Needs(network=True),
)
