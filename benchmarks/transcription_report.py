"""Tables and plots of what ``benchmarks/transcription.py`` found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

BEGIN: Final = "<!-- figures: begin -->"
END: Final = "<!-- figures: end -->"
PLOTS: Final = ("reliability.svg", "where-it-fails.svg")

UNTAUGHT_TOKENS: Final = 200
"""Tokens per segment that a network without weights is timed with: an ordinary number for music."""

_WIDTH: Final = 200
_PIECE_SCORES: Final = {
    "onset": "onset",
    "onset+offset": "+offset",
    "instrument": "+instrument",
    "instrument+drums": "all with drums",
}
_DRUM_SCORES: Final = {"kick": "kick", "snare": "snare", "hat": "hat", "drums": "all three"}
_BEAT_SCORES: Final = {
    "beats": "beats",
    "downbeats": "downbeats",
    "tempo errors": "tempo errors",
    "unknown": "unknown",
}

Rows = tuple[list[str], list[list[str]]]
"""Head and rows of a table."""


def _mean(mean: dict[str, Any] | None) -> str:
    """E.g. ``.613 (.560-.665)``."""
    if mean is None or mean["value"] is None:
        return ""
    return f"{_share(mean['value'])} ({_share(mean['low'])}-{_share(mean['high'])})"


def _share(value: float | None, digits: int = 3) -> str:
    """E.g. ``.613``; empty for None."""
    if value is None:
        return ""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _each(results: dict[str, Any]) -> Iterable[tuple[dict[str, Any], str, dict[str, Any]]]:
    for condition in results["conditions"]:
        for name, figures in condition["transcribers"].items():
            yield condition, name, figures


def _rows_of(results: dict[str, Any], head: list[str], cells: Callable[[dict[str, Any]], list[str]]) -> Rows:
    rows = [[condition["name"], name, *cells(figures)] for condition, name, figures in _each(results)]
    kept = [row for row in rows if any(row[2:])]
    return ["heard", "transcriber", *head], kept


def notes_table(results: dict[str, Any]) -> Rows:
    """F1 of pitched notes, mean over pieces."""
    head = [*_PIECE_SCORES.values(), "octave errors", "onset over the CLI"]

    def cells(figures: dict[str, Any]) -> list[str]:
        scores = figures["scores"]
        keys = (*_PIECE_SCORES, "octave errors", "onset over peer")
        return [_mean(scores.get(key)) for key in keys]

    return _rows_of(results, head, cells)


def drums_table(results: dict[str, Any]) -> Rows:
    """F1 of drums, mean over the pieces that have them."""

    def cells(figures: dict[str, Any]) -> list[str]:
        if not any(figures["pooled"][f"drum/{name}"]["n_estimated"] for name in ("kick", "snare", "hat")):
            return []  # it writes no drums
        scores = [_mean(figures["scores"][key]) for key in _DRUM_SCORES]
        return [*scores, f"{figures['false_drum_hits_per_minute']:.1f}"]

    return _rows_of(results, [*_DRUM_SCORES.values(), "false hits a minute"], cells)


def beats_table(results: dict[str, Any]) -> Rows:
    """F at 70 ms and shares of pieces."""
    return _rows_of(
        results,
        [*_BEAT_SCORES.values()],
        lambda figures: [_mean(figures["scores"].get(key)) for key in _BEAT_SCORES],
    )


def trust_table(results: dict[str, Any]) -> Rows:
    """Calibration, bias and speed."""
    kinds = ("p_note, pitched", "p_note, drums", "p_instrument")

    def late(figures: dict[str, Any], kind: str) -> str:
        error = figures["onset_error_ms"][kind]
        if error["median"] is None:
            return ""
        return f"{error['median']:+.1f} ({error['quartiles'][0]:+.0f} to {error['quartiles'][1]:+.0f})"

    head, rows = _rows_of(
        results,
        [*(f"ECE {kind}" for kind in kinds), "late ms, pitched", "late ms, drums", "s per CPU s"],
        lambda figures: [
            *(_share(figures["calibration"][kind]["error"]) for kind in kinds),
            late(figures, "pitched"),
            late(figures, "drums"),
            f"{figures['speed']['s_per_cpu_s']:.1f}",
        ],
    )
    untaught = [
        [
            f"nothing: the network alone, random, {UNTAUGHT_TOKENS} tokens per 2 s",
            name,
            *[""] * 5,
            f"{s_per_cpu_s:.1f}",
        ]
        for name, s_per_cpu_s in results["untaught_s_per_cpu_s"].items()
    ]
    return head, [*rows, *untaught]


def instruments_table(results: dict[str, Any]) -> Rows:
    """F1 per instrument and drum, counts added up over the pieces, first condition."""
    by_name = results["conditions"][0]["transcribers"]
    names = list(by_name)
    rows = []
    for key, counts in by_name[names[0]]["pooled"].items():
        kind, what = key.split("/")
        if kind in ("instrument", "drum"):
            scores = [_share(by_name[name]["pooled"][key]["f1"]) for name in names]
            rows.append([what, str(counts["n_reference"]), str(counts["n_pieces"]), *scores])
    return ["instrument", "notes", "pieces", *names], rows


def confusion_table(results: dict[str, Any]) -> Rows:
    """What found notes of each instrument were called, in per cent; first condition, first transcriber."""
    figures = next(iter(results["conditions"][0]["transcribers"].values()))
    names = results["instruments"][:-1]
    rows = []
    for name, counts in zip(names, figures["confusion"], strict=False):
        total = sum(counts)
        shares = [f"{100 * n / total:.0f}" if n else "" for n in counts[:-1]] if total else [""] * len(names)
        rows.append([name, str(total), *shares])
    return ["is / was called (%)", "found", *names], rows


def fonts_table(results: dict[str, Any]) -> Rows:
    """Which soundfont was seen by whom."""
    names = list(results["conditions"][0]["transcribers"])
    rows = [
        [font["file"], font["sha256"][:12], *(font["seen"][name] for name in names)]
        for font in results["fonts"]
    ]
    return ["soundfont", "SHA-256", *names], rows


TABLES: Final = {
    "Soundfonts": fonts_table,
    "Pitched notes: F1, mean over pieces (95 % interval)": notes_table,
    "Drums: F1, mean over pieces that have them (95 % interval)": drums_table,
    "Beats: F at 70 ms and shares of pieces (95 % interval)": beats_table,
    "Probabilities, onset error (median and quartiles) and speed": trust_table,
    "F1 by instrument and drum, {first}, notes of all pieces together": instruments_table,
    "What notes were called, {first}, {transcriber}": confusion_table,
}


def _titled(results: dict[str, Any]) -> Iterable[tuple[str, Rows]]:
    first = results["conditions"][0]
    for title, table in TABLES.items():
        head, rows = table(results)
        if rows:
            yield (
                title.format(first=first["name"], transcriber=next(iter(first["transcribers"]))),
                (head, rows),
            )


def _about(results: dict[str, Any]) -> list[str]:
    """Which pieces and fonts, what was left out, and with which versions; a line each."""
    kinds = [piece["kind"] for piece in results["pieces"]]
    load = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in results["load_cpu_s"].items())
    lines = [
        f"{kinds.count('composed')} composed pieces and {kinds.count('midi')} MIDI files of "
        f"{results['seconds']:.0f} s; beats are known of {sum(p['beats_known'] for p in results['pieces'])}.",
        f"CPU time to load and warm up, once: {load}.",
    ]
    if results["fonts_absent"]:
        lines.append(f"Soundfonts not found here: {', '.join(results['fonts_absent'])}.")
    lines.append(", ".join(f"{name} {version}" for name, version in results["versions"].items()) + ".")
    return lines


def print_tables(results: dict[str, Any]) -> None:
    """All tables on stdout."""
    console = Console(width=_WIDTH)
    for line in _about(results):
        console.print(line, highlight=False)
    for name, why in results["left_out"].items():
        console.print(f"left out: {name}: {why}", highlight=False, markup=False)
    for title, (head, rows) in _titled(results):
        table = Table(title=title, title_justify="left")
        for i, column in enumerate(head):
            table.add_column(column, justify="left" if i < 2 else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def as_markdown(results: dict[str, Any]) -> str:
    """What stands between the markers of the page."""
    parts = [f"Printed by `{results['command'].strip()}`:", *_about(results)]
    for title, (head, rows) in _titled(results):
        lines = [head, ["---"] * len(head), *rows]
        table = "\n".join("| " + " | ".join(row + [""] * (len(head) - len(row))) + " |" for row in lines)
        parts += [f"### {title}", table]
    parts += [
        "### Plots",
        "![How often notes of a given probability are right](transcription/reliability.svg)",
        "![F1 by instrument, polyphony and pitch](transcription/where-it-fails.svg)",
    ]
    return "\n\n".join(parts)


def write_docs(results: dict[str, Any], docs: Path) -> None:
    """Put the tables between the markers of ``transcription.md`` and the plots beside it.

    Raises
    ------
    ValueError
        If the page lacks the markers.
    """
    page = docs / "transcription.md"
    text = page.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} lacks the lines {BEGIN} and {END}")
    page.write_text(f"{head}{BEGIN}\n\n{as_markdown(results)}\n\n{END}{tail}", encoding="utf-8")
    folder = docs / "transcription"
    folder.mkdir(exist_ok=True)
    write_plots(results, folder)


def write_plots(results: dict[str, Any], folder: Path) -> None:
    """Two SVG files, the same bytes for the same results."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    style: Any = {
        "svg.hashsalt": "d2midi",
        "svg.fonttype": "none",
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with plt.rc_context(style):
        for name, draw in zip(PLOTS, (_reliability, _where_it_fails), strict=True):
            figure = draw(plt, results)
            figure.savefig(folder / name, metadata={"Date": None}, bbox_inches="tight")
            plt.close(figure)


def _reliability(plt: Any, results: dict[str, Any]) -> Any:
    """Share that came true over probability, per kind of probability, first condition."""
    first = results["conditions"][0]
    kinds = {"p_note, pitched": "pitched notes", "p_note, drums": "drum hits", "p_instrument": "instruments"}
    figure, axes = plt.subplots(1, 3, figsize=(8.5, 2.9), sharey=True)
    for axis, (kind, title) in zip(axes, kinds.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.8", lw=1)
        for name, figures in first["transcribers"].items():
            curve = figures["calibration"][kind]
            points = [
                (p, share)
                for p, share, n in zip(curve["mean"], curve["share"], curve["n"], strict=True)
                if n >= 20  # fewer say little
            ]
            if points:
                label = f"{name}, ECE {_share(curve['error'])}"
                axis.plot(*zip(*points, strict=True), marker="o", ms=3, lw=1, label=label)
        axis.set(xlim=(0, 1), ylim=(0, 1), title=title, xlabel="probability given")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, loc="upper left", fontsize=6)
    axes[0].set_ylabel(f"share right\n({first['name']})")
    return figure


def _where_it_fails(plt: Any, results: dict[str, Any]) -> Any:
    """F1 by instrument, polyphony and pitch range, first condition."""
    first = results["conditions"][0]
    groups = {
        "instrument": "pitch, onset and instrument",
        "polyphony": "pitch and onset, by notes sounding together",
        "pitch": "pitch and onset, by MIDI pitch",
    }
    figure, axes = plt.subplots(1, 3, figsize=(8.5, 3.6))
    for axis, (group, title) in zip(axes, groups.items(), strict=True):
        for offset, (name, figures) in enumerate(first["transcribers"].items()):
            pooled = {
                key.split("/")[1]: counts
                for key, counts in figures["pooled"].items()
                if key.startswith(f"{group}/") and counts["n_reference"]
            }
            height = 0.8 / len(first["transcribers"])
            places = [i + offset * height for i in range(len(pooled))]
            axis.barh(places, [counts["f1"] for counts in pooled.values()], height, label=name)
            axis.set_yticks(
                [i + 0.4 - height / 2 for i in range(len(pooled))],
                [f"{what} ({counts['n_reference']})" for what, counts in pooled.items()],
            )
        axis.invert_yaxis()
        axis.set(xlim=(0, 1), title=title, xlabel="F1 (number of notes)")
        axis.title.set_fontsize(7)
    axes[0].legend(frameon=False, fontsize=6, loc="lower right")
    figure.tight_layout()
    return figure
