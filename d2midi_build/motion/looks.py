"""What the samples of a video show, as numbers: people, the dancer's body, the background, the camera.

A worker keeps a ``PictureJudge``. It looks at one sampled picture at a time; ``over`` sums up the looks that lie
in one take. All that is stored is numbers, so a threshold can change without another look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from d2midi_build.motion.background import (
    Background,
    background,
    background_motion,
    clutter,
    colour_variety,
    edge_density,
)
from d2midi_build.motion.body_view import WHOLE_CUT, BodyView, Mask, PersonMask, body_view, outlines, region
from d2midi_build.motion.camera import camera_motion
from d2midi_build.motion.people import (
    FloatArray,
    Image,
    PersonDetector,
    apart,
    main_person,
    nearest_other,
    square_starts,
)

_MARGIN = 0.02  # how much more than a person's mask is painted over, as a share of the picture's height
# Body widths: nearer to the dancer are second sights of the same person (a kick, a pan in the hands) that differ
# too much for the detector's own rule, at most 0.2; two who hug have 0.75, dancers in a group from 0.44 on.
_SAME = 0.3
# Somebody found only after the dancer was painted over counts if a mask says so too: most of the body's height
# in view and not cut off, this share of its outline filled, and not much smaller than the dancer. Second dancers
# in upright pictures have at least 0.56, 0.19 and 0.71; a backpack with a hand left over 0.4-0.85, 0.1-0.29 and
# 0.4-0.63.
_SECOND_COMPLETENESS, _SECOND_FILL, _SECOND_HEIGHT = 0.5, 0.15, 0.67
# Body widths: so close to the dancer in the look before or after that somebody may be hidden in this one.
_CLOSE = 1.5


@dataclass(frozen=True)
class Look:
    """What one picture shows; ``None`` where it cannot be said, plain numbers otherwise.

    Attributes
    ----------
    people : int
        How many were found.
    nearest : float or None
        ``people.nearest_other``: how far the nearest other person is from the dancer, in body widths.
    height, completeness, cut : float or None
        ``body_view.BodyView`` of the dancer; None if nobody was found.
    edges, colours : float or None
        ``background.edge_density`` and ``background.colour_variety``.
    motion : float or None
        ``background.background_motion`` since the last sample.
    camera : float or None
        ``camera.camera_motion`` at this moment, picture heights per second.
    """

    people: int
    nearest: float | None
    height: float | None
    completeness: float | None
    cut: float | None
    edges: float | None
    colours: float | None
    motion: float | None
    camera: float | None


@dataclass(frozen=True, eq=False)
class Seen:
    """A look, and the background it was taken of, for the next look."""

    look: Look
    background: Background


class PictureJudge:
    """Looks at sampled pictures; a worker keeps one.

    Costs 25 ms of CPU per upright picture and 40 ms at 16:9 where ``benchmarks/filter_cost.py`` was run, most
    of it the detector.
    """

    def __init__(self) -> None:
        self._detector = PersonDetector()
        self._masks = PersonMask()

    def close(self) -> None:
        """Release the models."""
        self._detector.close()
        self._masks.close()

    def look(
        self, picture: Image, before: Image | None = None, elapsed_s: float = 0.0, last: Seen | None = None
    ) -> Seen:
        """Look at a picture.

        Parameters
        ----------
        picture : np.ndarray, shape=(height, width, 3), uint8
            BGR, best ``people.SAMPLE_HEIGHT_PX`` high.
        before : np.ndarray, optional
            The same a little earlier, best 0.1 s; None at the start.
        elapsed_s : float
            How much earlier.
        last : Seen, optional
            What the last sample showed; None at the start.

        Raises
        ------
        PermanentError
            If the picture is no BGR picture.
        """
        people, mask, body = self._people(picture)
        taken, nearest = mask, None
        if body is not None:
            taken = mask | outlines(people[1:], mask.shape)
            nearest = nearest_other(people, 0)
        now = background(picture, taken)
        moved = None if before is None else camera_motion(background(before, taken), now, elapsed_s)
        look = Look(
            people=len(people),
            nearest=nearest,
            height=body.height if body else None,
            completeness=body.completeness if body else None,
            cut=body.cut if body else None,
            edges=edge_density(now),
            colours=colour_variety(now),
            motion=None if last is None else background_motion(last.background, now),
            camera=moved,
        )
        return Seen(look, now)

    def _people(self, picture: Image) -> tuple[FloatArray, Mask, BodyView | None]:
        """Everybody, the dancer first, with the dancer's mask and view; detections without a mask left out
        until somebody has one."""
        people = self._detector.people(picture)
        while len(people):
            main = main_person(people, picture.shape[0])
            dancer, others = people[main : main + 1], np.delete(people, main, axis=0)
            mask = self._masks.mask(picture, dancer[0])
            body = body_view(dancer[0], mask)
            if body.completeness > 0:
                others = people[apart(people, main) >= _SAME]
                # Squares find the second person in a wide picture.
                if not len(others) and not square_starts(*picture.shape[:2]):
                    others = self._second(picture, dancer, mask, body)
                return np.concatenate([dancer, others]), mask, body
            people = others
        return people, np.zeros(picture.shape[:2], dtype=np.bool_), None

    def _second(self, picture: Image, dancer: FloatArray, mask: Mask, body: BodyView) -> FloatArray:
        """Those beside the dancer whom the detector passed over."""
        taken = _dilated(region(dancer[0], mask))
        painted = painted_over(picture, taken)
        found = self._detector.beside(painted, dancer)
        kept = []
        for person in found:
            own = self._masks.mask(painted, person) & ~taken
            view, outline = body_view(person, own), outlines(person[None], own.shape)
            filled = np.count_nonzero(own & outline) / max(1, np.count_nonzero(outline))
            kept.append(
                view.completeness >= _SECOND_COMPLETENESS
                and filled >= _SECOND_FILL
                and view.cut <= WHOLE_CUT
                and view.height >= _SECOND_HEIGHT * body.height
            )
        return found[np.array(kept, dtype=np.bool_)]


@dataclass(frozen=True)
class LookScores:
    """What the looks at a take come to; ``None`` where it cannot be said.

    Attributes
    ----------
    samples : int
        How many looks.
    nobody_share, several_share : float or None
        Shares of them with nobody, with more than one person; 0-1.
    overlap_share : float or None
        Share in which another body overlaps the dancer's, or is hidden between two looks of which one had
        somebody close; 0-1.
    person_height : float or None
        Median height of the dancer, as a share of the picture's; over 1 if not all of it fits.
    whole_share : float or None
        Share of the looks with somebody in which the whole body is in view; 0-1.
    completeness : float or None
        Median of ``BodyView.completeness``; 0-1.
    edges, colours, motion : float or None
        Medians of the background's edge density, colour variety and motion.
    clutter : float or None
        ``background.clutter`` of ``edges`` and ``colours``.
    camera : float or None
        Camera motion in picture heights per second: the speed that a quarter of the looks exceeds. None if
        fewer than half of them could tell, as before a plain wall.
    """

    samples: int
    nobody_share: float | None
    several_share: float | None
    overlap_share: float | None
    person_height: float | None
    whole_share: float | None
    completeness: float | None
    edges: float | None
    colours: float | None
    motion: float | None
    clutter: float | None
    camera: float | None


def over(looks: Sequence[Look]) -> LookScores:
    """Sum up the looks at one take, in order. The first one's motion is across the cut and left out."""
    with_somebody = [look for look in looks if look.people]
    whole = [
        BodyView(look.height, look.completeness, look.cut).whole
        for look in with_somebody
        if look.height is not None and look.completeness is not None and look.cut is not None
    ]
    edges = _median([look.edges for look in with_somebody])
    colours = _median([look.colours for look in with_somebody])
    camera = [look.camera for look in looks if look.camera is not None]
    return LookScores(
        samples=len(looks),
        nobody_share=_share([look.people == 0 for look in looks]),
        several_share=_share([look.people > 1 for look in looks]),
        overlap_share=_share(_overlaps(looks)),
        person_height=_median([look.height for look in with_somebody]),
        whole_share=_share(whole),
        completeness=_median([look.completeness for look in with_somebody]),
        edges=edges,
        colours=colours,
        motion=_median([look.motion for look in looks[1:]]),
        clutter=None if edges is None or colours is None else clutter(edges, colours),
        camera=float(np.quantile(camera, 0.75)) if camera and 2 * len(camera) >= len(looks) else None,
    )


def _overlaps(looks: Sequence[Look]) -> list[bool]:
    """Whether another body overlaps the dancer's in each look, or has just been or is soon so close that it may
    be hidden in one where only one person is seen."""
    near = [look.nearest is not None and look.nearest < 1 for look in looks]
    close = [look.nearest is not None and look.nearest < _CLOSE for look in looks]
    return [
        near[k] or (look.people == 1 and any(close[max(0, k - 1) : k + 2])) for k, look in enumerate(looks)
    ]


def _share(flags: Sequence[bool]) -> float | None:
    return float(np.mean(flags)) if flags else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def painted_over(picture: Image, taken: Mask) -> Image:
    """A picture in which the median colour of the rest covers what is taken."""
    painted = picture.copy()
    if not taken.all():
        # Every fourth pixel each way says the median well enough.
        rest = picture[::4, ::4][~taken[::4, ::4]]
        painted[taken] = np.median(rest, axis=0) if len(rest) else 0
    return painted


def _dilated(mask: Mask) -> Mask:
    reach = 2 * max(1, round(_MARGIN * mask.shape[0])) + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0)
