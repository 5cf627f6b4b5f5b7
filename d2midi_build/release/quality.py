"""How right the notes of a release are, as far as people have measured it, and how its card says so."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np

from d2midi_build.annotate.agreement import agreement
from d2midi_build.annotate.audit import record
from d2midi_build.annotate.audit.record import Audits
from d2midi_build.annotate.audit.report import audit_of
from d2midi_build.annotate.corrections import Corrections
from d2midi_build.annotate.sheets import clip_of_sheet
from d2midi_build.workspace import Workspace

_MEASURES: Final = {
    "notes": "all notes: pitch or drum, and onset within 50 ms",
    "onset": "pitched notes: pitch and onset",
    "onset_offset": "pitched notes: pitch, onset and offset",
    "onset_instrument": "pitched notes: pitch, onset and instrument",
    "onset_offset_instrument": "pitched notes: pitch, onset, offset and instrument",
    "drums": "drum hits: key and onset",
}


def measured(
    workspace: Workspace, corrections: Corrections, clip_ids: AbstractSet[str]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """What a release says of clips: what audits found, and how far people agree who corrected them.

    Returns
    -------
    (dict or None, dict or None)
        Without names; None where there are no audits, or no two people corrected the same sheet.

    Raises
    ------
    D2midiError
        If a table of the workspace or the file of audits cannot be read.
    """
    audits = Audits.read(record.path_in(workspace)).within(clip_ids)
    audited = None
    if audits.planted or audits.blind:
        audited = audit_of(workspace, audits, corrections, np.random.default_rng(0)).published()
    own = Corrections(line for line in corrections.lines if clip_of_sheet(line.sheet_id)[0] in clip_ids)
    agreed = agreement(own, np.random.default_rng(0))
    return audited, agreed.published() if agreed.n_sheets else None


def section(audit: Mapping[str, Any] | None, agreement: Mapping[str, Any] | None) -> list[str]:
    """Lines of Markdown.

    Parameters
    ----------
    audit : dict or None
        What ``annotate.audit.report.Audit.published`` made; None where there were no audits.
    agreement : dict or None
        What ``annotate.agreement.Agreement.published`` made; None where no two people corrected the same sheet.
    """
    label_error = None if audit is None else audit["label_error"]
    recall = None if audit is None else audit["recall"]
    measured = None if label_error is None else label_error["measured"]
    lines = [
        "## How right the notes are",
        "",
        f"- **Label error of the machine's notes**: {_label_error(label_error)}",
        f"- **Errors that annotators find**, of errors planted in what they were shown: {_recall(recall)}",
        f"- **Agreement of annotators** who corrected the same 30 s: {_agreement(agreement)}",
        "",
    ]
    columns: dict[str, Mapping[str, Any]] = {}
    if measured is not None:
        columns["machine against people, F1"] = measured["scores"]
    if agreement is not None:
        columns["annotators, as heard, F1"] = agreement["layers"]["heard"]["scores"]
        columns["annotators, final, F1"] = agreement["layers"]["final"]["scores"]
        if agreement["touched"]["layers"] is not None:
            columns["notes touched, as heard, F1"] = agreement["touched"]["layers"]["heard"]["scores"]
            columns["notes touched, final, F1"] = agreement["touched"]["layers"]["final"]["scores"]
    if not columns:
        return lines
    return [
        *lines,
        f"| | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(
            f"| {words} | {' | '.join(_figure(scores[name]['f1']) for scores in columns.values())} |"
            for name, words in _MEASURES.items()
        ),
        "",
        "Notes are matched by mir_eval's rules. Intervals hold 95 %: of figures of resampled sources, or exact "
        "(Clopper-Pearson) where something is counted as k of n.",
        "",
    ]


def _label_error(found: Mapping[str, Any] | None) -> str:
    if found is None or not found["excerpts"] + found["seen_before"]:
        return "not measured."
    of = f"{found['excerpts']} excerpts of 10 s from {found['sources']} sources"
    left_out = ""
    if found["seen_before"]:
        left_out = (
            f" {found['seen_before']} more do not count: who wrote them down had corrected there before."
        )
    if found["measured"] is None:
        needed = found["needed"]
        return f"not measured: {of}; {needed['excerpts']} from {needed['sources']} are needed.{left_out}"
    told = found["measured"]
    return (
        f"{of} were written down from scratch. The machine missed {_figure(told['missed_per_minute'], '.1f')} notes a "
        f"minute and invented {_figure(told['invented_per_minute'], '.1f')}; of pitched notes that match, "
        f"{_figure(told['same_instrument'])} have the right instrument; onsets that match are off by "
        f"{_figure(told['onset_median_s'], '.0f', 1000)} ms (median), {_figure(told['onset_p95_s'], '.0f', 1000)} ms "
        f"(95 % of them are nearer).{left_out}"
    )


def _recall(found: Mapping[str, Any] | None) -> str:
    if found is None or not found["found"]["of"]:
        return "not measured."
    share = found["found"]
    return (
        f"{share['n']} of {share['of']}, {share['value']:.0%} ({share['low']:.0%}-{share['high']:.0%}); "
        f"{found['mended']['n']} were mended as well. Those not found were taken back."
    )


def _agreement(found: Mapping[str, Any] | None) -> str:
    if found is None or not found["sheets"]:
        return "not measured."
    return (
        f"{found['sheets']} such pieces from {found['sources']} sources. Cohen's kappa on instruments of notes that "
        f"match: {_kappa(found['layers'])}. Both begin with the machine's notes, so notes that neither of them touches "
        f"agree by themselves. {_touched(found['touched'])}"
    )


def _touched(found: Mapping[str, Any]) -> str:
    if not found["sheets"]:
        return "No two began with the same notes of the machine, so how far they agree on the others is not known."
    if found["layers"] is None:
        return "Nobody touched a note, so how far they agree on the others is not known."
    heard, final = (
        f"{found['notes'][name]['n']} of {found['notes'][name]['of']}" for name in ("heard", "final")
    )
    return (
        f"One of the two at least changed, added or deleted {heard} notes as heard, {final} final; on these alone "
        f"kappa is {_kappa(found['layers'])}."
    )


def _kappa(layers: Mapping[str, Any]) -> str:
    heard, final = (_figure(layers[name]["kappa"], ".2f") for name in ("heard", "final"))
    return f"{heard} as heard, {final} final"


def _figure(found: Mapping[str, Any], form: str = ".0%", times: float = 1.0) -> str:
    if found["value"] is None:
        return "-"
    told = format(found["value"] * times, form)
    if found["low"] is None:
        return told
    return f"{told} ({format(found['low'] * times, form)}-{format(found['high'] * times, form)})"
