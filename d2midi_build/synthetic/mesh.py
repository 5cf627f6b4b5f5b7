"""A skinned mesh of quads, and the two shapes the dancer is made of: tubes and strips."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from d2midi_build.synthetic.anatomy import BONE, REST, Array

Colour = tuple[float, float, float]
Weights = dict[str, float]


@dataclass(frozen=True, eq=False)
class Surface:
    """A skinned mesh.

    Attributes
    ----------
    vertices : np.ndarray, shape=(n_vertices, 3)
        Rest pose, metres.
    bones, weights : np.ndarray, shape=(n_vertices, 2)
        The two bones that move each vertex, and their shares, which sum to 1.
    faces : np.ndarray, shape=(n_faces, 4)
        Vertex indices, counter-clockwise seen from outside.
    colours : np.ndarray, shape=(n_faces, 3)
        RGB, 0-255.
    lifts : np.ndarray, shape=(n_faces,)
        Metres by which a face counts as nearer to the camera when faces are ordered.
    flat : np.ndarray, shape=(n_faces,)
        How much of the shading a face ignores (0 none, 1 all).
    """

    vertices: Array
    bones: npt.NDArray[np.int64]
    weights: Array
    faces: npt.NDArray[np.int64]
    colours: Array
    lifts: Array
    flat: Array

    def posed(self, rotations: Array, positions: Array) -> Array:
        """Vertices of one pose by linear blend skinning, shape (n_vertices, 3), metres."""
        moved = np.zeros_like(self.vertices)
        for k in range(2):
            bones = self.bones[:, k]
            local = self.vertices - REST[bones]
            placed = np.einsum("nij,nj->ni", rotations[bones], local) + positions[bones]
            moved += self.weights[:, k, None] * placed
        return moved


@dataclass
class Builder:
    """Collects points and faces; ``done`` makes the surface."""

    vertices: list[Array] = field(default_factory=list)
    bones: list[tuple[int, int]] = field(default_factory=list)
    weights: list[tuple[float, float]] = field(default_factory=list)
    faces: list[tuple[int, int, int, int]] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)
    lifts: list[float] = field(default_factory=list)
    flat: list[float] = field(default_factory=list)

    def points(self, points: Array, weights: Weights) -> int:
        """Add points moved by the same bones; gives the first one's index."""
        first = len(self.vertices)
        names = sorted(weights, key=lambda name: -weights[name])[:2]
        names += names[:1] * (2 - len(names))
        shares = (weights[names[0]], weights[names[1]] if names[1] != names[0] else 0.0)
        for point in points:
            self.vertices.append(point)
            self.bones.append((BONE[names[0]], BONE[names[1]]))
            self.weights.append((shares[0] / sum(shares), shares[1] / sum(shares)))
        return first

    def face(
        self, corners: tuple[int, int, int, int], colour: Colour, lift: float = 0.0, flat: float = 0.0
    ) -> None:
        """Add a face, counter-clockwise seen from outside; see ``Surface`` for lift and flat."""
        self.faces.append(corners)
        self.colours.append(colour)
        self.lifts.append(lift)
        self.flat.append(flat)

    def tube(
        self, rings: list[Array], weights: list[Weights], colours: list[list[Colour]], lift: float = 0.0
    ) -> None:
        """Join rings of equally many points, and close both ends."""
        n = len(rings[0])
        firsts = [self.points(ring, w) for ring, w in zip(rings, weights, strict=True)]
        # Rings may turn either way about their axis; faces must look outwards.
        axis = rings[-1].mean(axis=0) - rings[0].mean(axis=0)
        ring = rings[len(rings) // 2]
        a, b = ring[0] - ring.mean(axis=0), ring[n // 4] - ring.mean(axis=0)
        outwards = float(np.dot(np.cross(a, b), axis)) > 0
        for k in range(len(rings) - 1):
            for i in range(n):
                j = (i + 1) % n
                corners = (firsts[k] + i, firsts[k] + j, firsts[k + 1] + j, firsts[k + 1] + i)
                self.face(corners if outwards else corners[::-1], colours[k][i], lift)
        for k, end in ((0, firsts[0]), (len(rings) - 1, firsts[-1])):
            middle = self.points(rings[k].mean(axis=0)[None], weights[k])
            colour = colours[0 if k == 0 else -1][0]
            for i in range(n):
                j = (i + 1) % n
                forwards = (middle, end + i, end + j, end + j)
                backwards = (middle, end + j, end + i, end + i)
                self.face(forwards if (k > 0) == outwards else backwards, colour, lift)

    def strip(
        self, upper: Array, lower: Array, weights: Weights, colour: Colour, lift: float, flat: float = 0.3
    ) -> None:
        """A band between two lines of points that run to the dancer's left as x grows."""
        a, b = self.points(upper, weights), self.points(lower, weights)
        for i in range(len(upper) - 1):
            self.face((a + i, b + i, b + i + 1, a + i + 1), colour, lift, flat)

    def done(self) -> Surface:
        """The surface of everything added."""
        return Surface(
            np.array(self.vertices),
            np.array(self.bones),
            np.array(self.weights),
            np.array(self.faces),
            np.array(self.colours, dtype=np.float64),
            np.array(self.lifts),
            np.array(self.flat),
        )


def ellipse(centre: Array, u: Array, v: Array, n: int, power: float = 2.0) -> Array:
    """Points of a superellipse around ``centre`` with half-axes u and v, shape (n, 3)."""
    angle = 2 * np.pi * np.arange(n) / n
    c, s = np.cos(angle), np.sin(angle)
    c, s = (np.sign(w) * np.abs(w) ** (2 / power) for w in (c, s))
    ring: Array = centre + c[:, None] * u + s[:, None] * v
    return ring


def tinted(colour: tuple[int, int, int] | Colour, factor: float) -> Colour:
    """A colour made lighter or darker."""
    r, g, b = (float(np.clip(c * factor, 0, 255)) for c in colour)
    return (r, g, b)
