"""What a URL stands for: one video, or those of a playlist, channel, feed or page."""

from __future__ import annotations

from d2midi_build.digests import sha256_data
from d2midi_build.engine.base import Needs
from d2midi_build.recipe import CrawlRecipe
from d2midi_build.stages.base import Made, Stage, Work

HINTS = tuple(f"crawl.{name}" for name in CrawlRecipe.model_fields)


def options(work: Work) -> CrawlRecipe:
    """The recipe's section ``crawl`` as it reached a worker."""
    return CrawlRecipe(**{name: work.params[f"crawl.{name}"] for name in CrawlRecipe.model_fields})


def _run(work: Work) -> Made:
    from d2midi_build.crawl.resolve import resolve

    entries = [
        {
            # The site's own id where it has one, so that two URLs of one video are fetched once.
            "item": found.video_id or f"url-{sha256_data([found.url, found.item])[:16]}",
            "url": found.url,
            "place": found.item,
            "title": found.title,
        }
        for found in resolve(work.inputs["url"], options(work))
    ]
    return Made({"entries": entries})


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
