"""Rows of the tables that are made from records alone: sources, videos, takes, clips, stems.

``schemas/`` says what each column means; columns that several tables share are made in one place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from d2midi_build import clock
from d2midi_build.flow import EntryNode, SourceNode, TakeNode
from d2midi_build.ledger import Record
from d2midi_build.recipe import Recipe
from d2midi_build.screening.criteria import BEST_FIRST, Decision
from d2midi_build.stages import beats as beats_stage
from d2midi_build.stages import transcribe as transcribe_stage
from d2midi_build.stages.filter import SCORES
from d2midi_build.stages.resample import FACTS as CLIP_FACTS

VIDEO_TIME = "seconds from the video's first frame"
CLIP_TIME = f"seconds from the clip's first frame; {clock.FPS} frames/s; {clock.SAMPLE_RATE_HZ} samples/s"


def source_row(node: SourceNode) -> dict[str, Any]:
    """A source, and how far it has come."""
    found = [node.resolve, *(entry.crawl for entry in node.entries)]
    ends = [record for record in found if record is not None]
    failures = [record for record in ends if record.status == "failed"]
    if not ends or (len(ends) < len(found) - (node.resolve is None)):
        status = "waiting"
    elif failures:
        status = "partial" if any(entry.video_id for entry in node.entries) else "failed"
    else:
        status = "done"
    failure = failures[0] if failures else None
    last = ends[-1] if ends else None
    source = node.source
    return {
        "source_id": source.source_id,
        "url": source.url,
        "kind": source.kind,
        "genre": source.genre,
        "performer": source.performer,
        "licence": source.licence,
        "music": source.music,
        "notes": source.notes,
        "origin": source.origin,
        "extra": json.dumps(dict(source.extra), sort_keys=True, ensure_ascii=False),
        "video_ids": sorted({entry.video_id for entry in node.entries if entry.video_id}),
        "status": status,
        "reason": failure.reason if failure else "",
        "message": failure.message if failure else "",
        "tool_message": failure.tool_message if failure else "",
        **provenance(last),
    }


def video_row(entry: EntryNode) -> dict[str, Any]:
    """A video."""
    assert entry.crawl is not None
    facts, source = entry.crawl.facts, entry.entry.source
    media, info = facts["media"], facts["info"]
    return {
        "video_id": facts["video_id"],
        "source_id": source.source_id,
        "file": video_file(entry),
        "sha256": facts["sha256"],
        "bytes": facts["bytes"],
        **{name: info[name] for name in ("title", "uploader", "channel", "upload_date", "webpage_url")},
        "licence": source.licence or info["licence"],
        "extractor": info["extractor"],
        "site_id": info["site_id"],
        "genre": source.genre,
        "performer": source.performer,
        "music": source.music,
        **media,
        "n_takes": len(entry.takes),
        **_state(entry.filter),
        **provenance(entry.crawl),
        "time_base": VIDEO_TIME,
    }


def take_row(entry: EntryNode, take: TakeNode) -> dict[str, Any]:
    """A take with its scores and what is decided."""
    scores, verdict = take.scores, take.judgement.verdict
    return {
        "take_id": take.take_id,
        "video_id": take.video_id,
        "start_s": take.start_s,
        "end_s": take.end_s,
        "n_frames": clock.whole_frames(take.end_s - take.start_s),
        "status": take.decision.status,
        "reasons": list(take.decision.reasons),
        "explanation": take.decision.explanation,
        "automatic_status": take.judgement.automatic.status,
        "decided_by": verdict.by if verdict else "",
        "decided_at": verdict.at if verdict else "",
        "decided_why": verdict.why if verdict else "",
        **{name: scores[name] for name in SCORES},
        **provenance(entry.filter),
        "time_base": VIDEO_TIME,
    }


def clip_row(take: TakeNode, recipe: Recipe, null_p: float | None) -> dict[str, Any]:
    """A clip, its own synchronisation, and the p of how its dance fits other clips' music."""
    clip = take.records["resample"]
    # Nothing follows from opinions: one that failed stops no clip.
    of_the_clip = [record for name, record in take.records.items() if name != "opinions"]
    failure = next((record for record in of_the_clip if record.status == "failed"), None)
    facts, files = clip.facts, clip.files
    keypoints, notes, beats, windows = (
        record.facts if (record := take.records.get(name)) and record.status == "done" else {}
        for name in ("keypoints", "transcribe", "beats", "window")
    )
    musical = beats.get("musical", {})
    review, synchrony = clip_review(take, recipe), beats.get("synchrony", {})
    return {
        "clip_id": take.take_id,
        "take_id": take.take_id,
        "video_id": take.video_id,
        **{name: facts.get(name, 0) for name in CLIP_FACTS},
        "video_sha256": files.get("video.mp4", ""),
        "audio_sha256": files.get("audio.flac", ""),
        "original_sha256": files.get("original.flac", ""),
        **{
            name: keypoints.get(name)
            for name in ("body_share", "left_hand_share", "right_hand_share", "face_share")
        },
        "n_notes": notes.get("n_notes"),
        "n_sung": notes.get("n_sung"),
        "vocal_share": notes.get("vocal_share"),
        "review": list(review.reasons),
        "review_explanation": review.explanation,
        "n_beats": beats.get("n_beats"),
        "tempo_bpm": musical.get("tempo_bpm"),
        "metre": musical.get("metre"),
        "beats_confidence": musical.get("confidence"),
        "beats_method": musical.get("method", ""),
        "beats_reason": musical.get("reason", ""),
        "kinematic_beats_reason": beats.get("kinematic", {}).get("reason", ""),
        "sync": synchrony.get("status", ""),
        "sync_cause": synchrony.get("cause", ""),
        **{
            f"sync_{name}": synchrony.get(name)
            for name in ("p", "harmonic", "strength", "lag_s", "drift_beats")
        },
        "sync_null_p": null_p,
        "sync_explanation": synchrony.get("explanation", ""),
        "n_windows": windows.get("n_windows"),
        "status": "failed" if failure else "done" if take.complete else "waiting",
        "failed_stage": failure.stage if failure else "",
        "reason": failure.reason if failure else "",
        "message": failure.message if failure else "",
        "stage_key": clip.key,
        "made_by": json.dumps(
            {record.stage: {"key": record.key, **record.made_by} for record in of_the_clip},
            sort_keys=True,
        ),
        "time_base": CLIP_TIME,
    }


def stem_rows(take: TakeNode) -> Iterator[dict[str, Any]]:
    """The stems of a take."""
    record = take.records.get("separate")
    for file, digest in (record.files if record else {}).items():
        yield {
            "clip_id": take.take_id,
            "stem": Path(file).stem,
            "file": f"stems/{take.take_id}/{file}",
            "sha256": digest,
            **provenance(record),
            "time_base": CLIP_TIME,
        }


def clip_review(take: TakeNode, recipe: Recipe) -> Decision:
    """Why a human should look at a clip that screening let pass: what its later stages noticed."""
    facts = {name: record.facts for name, record in take.records.items() if record.status == "done"}
    found = [
        transcribe_stage.decide(facts.get("transcribe", {}), recipe),
        beats_stage.decide(facts.get("beats", {}), recipe),
    ]
    return Decision(
        max((decision.status for decision in found), key=BEST_FIRST.index),
        tuple(reason for decision in found for reason in decision.reasons),
        "; ".join(decision.explanation for decision in found if decision.explanation),
    )


def _state(record: Record | None) -> dict[str, str]:
    if record is None:
        return {"status": "waiting", "reason": "", "message": ""}
    status = "failed" if record.status == "failed" else "done"
    return {"status": status, "reason": record.reason, "message": record.message}


def provenance(record: Record | None) -> dict[str, str]:
    """Columns that say what made a row."""
    if record is None:
        return {"stage_key": "", "made_by": "{}"}
    return {"stage_key": record.key, "made_by": json.dumps(record.made_by, sort_keys=True)}


def video_file(entry: EntryNode) -> str:
    """Where a video lies for people, below the workspace."""
    assert entry.crawl is not None
    return f"videos/{entry.video_id}{Path(entry.crawl.facts['file']).suffix}"
