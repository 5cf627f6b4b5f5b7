"""The report of a gate as one HTML file without anything from elsewhere, for a reader who never heard of the gate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from d2midi_build.train.gate.records import STAGES, Overall, Record, Report, decides

VERDICTS: Final[Mapping[Overall, str]] = {
    "pass": "Passed: what is paired in this release belongs together, as far as the check can tell.",
    "fail": "Failed: do not publish this release before what is named below is mended.",
    "not-testable": "Not testable: what is in this release, or what was run, is not enough to tell. It may be "
    "published as a preview only.",
    "invalid": "Invalid: the check itself is broken and says nothing about the release.",
}

_WHAT: Final = (
    "The release pairs dances with the notes of the music they are danced to. This page says whether a check by "
    "machine found that files are whole, that nothing is in two splits, that small models can learn from it, and that "
    "dances and music belong together and start together: real pairs are compared with pairs whose music or dance is "
    "another one of the same genre."
)

_TERMS: Final = (
    (
        "source",
        "One video, or several that share music or picture. Their clips are alike, so gaps are counted by sources.",
    ),
    (
        "n",
        "How many things a value rests on: of stages D to F sources; of others what the words beside it name.",
    ),
    (
        "nat",
        "Unit of surprise: a model that gives what happens a chance of 1/2.72 is surprised by one nat.",
    ),
    ("split", "Train, validation or test: what models learn from, are tuned on and are judged by."),
    ("interval", "95 % of re-drawn sets of sources give a value between its two numbers."),
    ("p", "How often chance alone does as well; small means that chance does not explain it."),
    ("held-out", "Not learnt from."),
    (
        "pass, fail",
        "Whether the value keeps to the bound beside it and, where there is a p, whether that is small enough. In H "
        "and of F-measures the value of chance stands as the bound, and decides nothing.",
    ),
    ("not-testable", "Too little is there to say either."),
    ("info", "For readers; decides nothing."),
)

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1b1f24;background:#fff}
table{border-collapse:collapse;margin:.5em 0 1.5em;font-size:14px}
.wide{overflow-x:auto}
th,td{border:1px solid #d0d7de;padding:.25em .6em;text-align:left;vertical-align:top}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.pass{background:#dafbe1}td.fail{background:#ffd8d3}td.not-testable{background:#fff1c2}
.verdict{padding:.8em 1em;border-left:.5em solid;font-size:18px}
.verdict.pass{border-color:#1a7f37;background:#dafbe1}.verdict.fail{border-color:#b3261e;background:#ffd8d3}
.verdict.not-testable{border-color:#9a6700;background:#fff1c2}.verdict.invalid{border-color:#57606a;background:#eaeef2}
svg{max-width:100%;height:auto}
"""

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 300, 60, 20, 50


def page(report: Report) -> str:
    """The whole page.

    Parameters
    ----------
    report : Report
        Its ``settings["lag"]``, if there is one, is the curve that `lag.Lag.data` gives.
    """
    title = f"Check of {report.name} {report.version}"
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<div class="verdict {report.verdict}">{escape(VERDICTS[report.verdict])}</div>',
        _items(report.why),
        f"<p>{escape(_WHAT)}</p>",
        _overview(report),
        "<details><summary>Words</summary>",
        _table(("word", "meaning"), ((escape(word), escape(meaning)) for word, meaning in _TERMS)),
        "</details>",
        *_stages(report),
        "<h2>What was checked, and how</h2>",
        _table(("what", "value"), ((escape(name), escape(value)) for name, value in _about(report))),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def lag_plot(lags_s: Sequence[float], r: Sequence[float | None], offset_ms: float | None = None) -> str:
    """The lag curve as SVG: correlation over the time by which the dance is later; without known values an empty text.

    Parameters
    ----------
    lags_s : sequence of float
        Ascending seconds.
    r : sequence of float or None
        -1 to 1, None where unknown.
    offset_ms : float, optional
        Where to mark the peak.
    """
    known = [(lag, each) for lag, each in zip(lags_s, r, strict=True) if each is not None]
    if len(known) < 2:
        return ""
    low, high = min(0.0, *(each for _, each in known)), max(0.1, *(each for _, each in known))
    first, last = lags_s[0], lags_s[-1]

    def x(lag_s: float) -> float:
        return _LEFT + (lag_s - first) / (last - first) * (_WIDTH - _LEFT - 20)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _BOTTOM - _TOP)

    ticks = [first + (last - first) * share / 8 for share in range(9)]
    points = " ".join(f"{x(lag):.1f},{y(each):.1f}" for lag, each in known)
    mark = ""
    if offset_ms is not None and first <= offset_ms / 1000 <= last:
        at = x(offset_ms / 1000)
        mark = (
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#b3261e" '
            f'stroke-dasharray="4"/><text x="{at + 5:.1f}" y="{_TOP + 12}" fill="#b3261e">{offset_ms:+.0f} ms</text>'
        )
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
            'font-family="sans-serif" font-size="12"><title>Correlation of rest and onsets by lag</title>',
            f'<line x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{y(0):.1f}" y2="{y(0):.1f}" stroke="#8c959f"/>',
            f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#8c959f"/>',
            *(
                f'<text x="{x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{1000 * tick:.0f}</text>'
                for tick in ticks
            ),
            *(
                f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>'
                for value in sorted({low, 0.0, high})
            ),
            f'<text x="{(_LEFT + _WIDTH - 20) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">'
            "milliseconds by which the dance is later than the music</text>",
            f'<polyline points="{points}" fill="none" stroke="#0969da" stroke-width="2"/>',
            mark,
            "</svg>",
        ]
    )


def _overview(report: Report) -> str:
    """A row for each stage: whether what decides in it passed."""
    rows = []
    for stage, question in STAGES.items():
        found = [each for each in report.records if each.stage == stage]
        deciding = [each.verdict for each in found if decides(each)]
        worst = next((name for name in ("fail", "not-testable", "pass") if name in deciding), "info")
        result = worst if found else "not run"
        why = "" if deciding else "decides nothing" if found else ""
        rows.append((f'<a href="#{stage}">{stage}</a>', escape(question), result, why))
    return _table(("stage", "question", "verdict", ""), rows)


def _stages(report: Report) -> Iterable[str]:
    for stage, question in STAGES.items():
        records = [each for each in report.records if each.stage == stage]
        yield f'<h2 id="{stage}">{stage}: {escape(question)}</h2>'
        if not records:
            yield "<p>Not run.</p>"
        elif stage == "B":
            yield f"<details><summary>{len(records)} figures</summary>"
            yield from _statistics(records)
            yield "</details>"
        else:
            shown = [each for each in records if decides(each)]
            rest = [each for each in records if not decides(each)]
            yield _records(shown) if shown else ""
            if rest:
                yield f"<details><summary>{len(rest)} more that decide nothing</summary>{_records(rest)}</details>"
        if stage == "F" and "lag" in report.settings:
            curve = report.settings["lag"]
            sure = [
                each for each in records if each.name == "lag.offset_ms" and each.verdict in ("pass", "fail")
            ]
            offset = sure[0].value if sure else None
            yield lag_plot(curve["lags_s"], curve["r"], offset)
            yield (
                "<p>How well the moments at which dancers come to rest go with the moments at which notes start, were "
                "the dance later by so much, over all sources. In a good release the peak is at 0.</p>"
            )


def _records(records: Sequence[Record]) -> str:
    heads = ["name", "verdict", "value", "interval", "bound", "p", "n", "in words"]
    timed = any(each.seconds for each in records)  # a report inside a release has no times
    rows = (
        (
            escape(each.name),
            each.verdict,
            number(each.value),
            _interval(each),
            number(each.threshold),
            number(each.p),
            str(each.n),
            escape(each.why),
            *([f"{each.seconds:.1f}"] if timed else []),
        )
        for each in records
    )
    return _table([*heads, *(["seconds"] if timed else [])], rows)


def _statistics(records: Sequence[Record]) -> Iterable[str]:
    """Measures as columns and groups as rows; what comes once as other records."""
    split = [(each, *_named(each.name)) for each in records]
    groups = list(dict.fromkeys(group for _, _, group in split))
    measures = {
        name: each.why
        for each, name, group in split
        if group and any(n == name and not g for _, n, g in split)
    }
    values = {(name, group): each for each, name, group in split if name in measures}
    if measures:
        yield "<p>Means over clips, with intervals over sources.</p>"
        yield _table(
            ("group", *(escape(name) for name in measures)),
            (
                (
                    escape(group) or "all",
                    *(_with_interval(values.get((name, group))) for name in measures),
                )
                for group in groups
                if any((name, group) in values for name in measures)
            ),
        )
        yield _table(("measure", "meaning"), ((escape(name), escape(why)) for name, why in measures.items()))
    rest = [each for each, name, _ in split if name not in measures]
    if rest:
        yield _table(
            ("name", "value", "n", "in words"),
            ((escape(each.name), number(each.value), str(each.n), escape(each.why)) for each in rest),
        )


def _named(name: str) -> tuple[str, str]:
    measure, _, group = name.partition(" ")
    return measure, group


def _with_interval(record: Record | None) -> str:
    if record is None:
        return ""
    return f"{number(record.value)} {_interval(record)}".strip()


def _interval(record: Record) -> str:
    return "" if record.ci is None else f"({number(record.ci[0])} to {number(record.ci[1])})"


def number(value: float | None) -> str:
    """A value as people read it; nothing where there is none."""
    return "" if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"


def _about(report: Report) -> Iterable[tuple[str, str]]:
    yield "release", f"{report.name} {report.version}"
    of = str(report.settings.get("digest", "of its SHA256SUMS"))
    yield f"SHA-256 {of}", report.digest
    yield "seeds", ", ".join(map(str, report.seeds))
    for name, value in sorted(report.settings.items()):
        if name not in ("lag", "digest"):
            yield name, _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _items(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


_NUMBERS: Final = frozenset({"value", "bound", "p", "n", "seconds"})


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{"number" if name in _NUMBERS else cell if name == "verdict" else ""}">{cell}</td>'
            for name, cell in zip(head, row, strict=True)
        )
        + "</tr>\n"
        for row in rows
    )
    heads = "".join(f"<th>{name}</th>" for name in head)
    return f'<div class="wide"><table><tr>{heads}</tr>\n{body}</table></div>'
