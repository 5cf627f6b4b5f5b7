"""The report as a page: whole, by itself, and safe to open."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from d2midi_build.train.gate.page import VERDICTS, lag_plot, page
from d2midi_build.train.gate.records import STAGES, Record, Report

SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "br", "line"}


class Reader(HTMLParser):
    """Keeps the open elements, the text, and every attribute that loads something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [(name, value or "") for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def report(*records: Record, **changes: Any) -> Report:
    given = {
        "name": "dances <b>",
        "version": "1.0.0",
        "digest": "ab" * 32,
        "seeds": (0, 1),
        "settings": {
            "preset": "smoke",
            "lag": {"lags_s": [-0.1, -0.05, 0.0, 0.05, 0.1], "r": [0.0, 0.1, 0.5, 0.1, -0.1]},
        },
        "records": records,
        "verdict": "fail",
        "why": ("F, lag.offset_ms: 200 ms later",),
    }
    return Report(**(given | changes))


RECORDS = (
    Record("A", "leak.music", 2, 24, None, 0, "fail", "clip <script>alert(1)</script> & one more", 1.25),
    Record("B", "notes_per_s", 12.345, 24, (11.0, 13.5), None, "info", "notes per second", 0.0),
    Record("B", "notes_per_s genre=house", 15.0, 4, None, None, "info", "notes per second", 0.0),
    Record("B", "hours.unique", 1.5, 24, None, None, "info", "hours of clips", 0.0),
    Record("B", "sources genre=house split=test", 3, 4, None, None, "info", "3 of 4", 0.0),
    Record("F", "lag.offset_ms", 50.0, 24, (48.0, 52.0), 100.0, "pass", "near enough", 0.2, 0.005),
)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


def test_a_page_is_well_formed_and_loads_nothing() -> None:
    html = page(report(*RECORDS))
    reader = read(html)
    assert not [(name, value) for name, value in reader.loads if not value.startswith("#")]
    assert not {"script", "link", "img", "iframe"} & reader.tags
    assert "@import" not in html
    assert "url(" not in html


def test_words_of_a_release_are_text_not_markup() -> None:
    text = "".join(read(page(report(*RECORDS))).text)
    assert "clip <script>alert(1)</script> & one more" in text
    assert "Check of dances <b> 1.0.0" in text


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_verdict_and_its_reasons_come_first_in_words(verdict: Any) -> None:
    text = "".join(read(page(report(*RECORDS, verdict=verdict))).text)
    assert text.index(VERDICTS[verdict]) < text.index("200 ms later") < text.index(STAGES["A"])


def test_every_stage_is_named_and_those_without_records_as_not_run() -> None:
    reader = read(page(report(*RECORDS)))
    text = "".join(reader.text)
    assert all(question in text for question in STAGES.values())
    assert text.count("Not run.") == len(STAGES) - 3


def test_statistics_are_one_row_per_group_with_intervals_and_the_rest_as_a_list() -> None:
    html = page(report(*RECORDS))
    assert '<td class="">all</td><td class="">12.3 (11 to 13.5)</td>' in html
    assert '<td class="">genre=house</td><td class="">15</td>' in html
    assert '<td class="">hours.unique</td><td class="number">1.5</td>' in html
    assert '<td class="">sources genre=house split=test</td><td class="number">3</td>' in html


def test_the_lag_curve_is_drawn_to_scale_with_its_peak_marked() -> None:
    svg = ElementTree.fromstring(lag_plot([-1.0, 0.0, 1.0], [0.0, 0.5, None], 250.0))
    (line,) = svg.findall(f"{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert points == [(60.0, 250.0), (380.0, 20.0)]  # left edge at zero height; middle at the top
    (mark,) = [each for each in svg.findall(f"{SVG}line") if "stroke-dasharray" in each.attrib]
    assert float(mark.attrib["x1"]) == 60 + 640 * 1.25 / 2
    assert [each.text for each in svg.findall(f"{SVG}text")][-1] == "+250 ms"


def test_an_unknown_curve_is_not_drawn() -> None:
    assert lag_plot([-1.0, 0.0, 1.0], [None, None, None]) == ""
    assert "<svg" not in page(report(*RECORDS, settings={}))
    assert "<svg" in page(report(*RECORDS))
