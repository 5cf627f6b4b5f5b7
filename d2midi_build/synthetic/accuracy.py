"""How far keypoints are from known joints: pure functions on arrays.

Landmarks are MediaPipe's 33, on the last axis but one. A frame without a prediction is NaN: it counts as
wrong where the measure is a rate, and is left out where it is a distance (report the rate beside it).
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from d2midi_build.clock import FPS
from d2midi_build.motion.skeleton import HIPS, LIMBS, SHOULDERS
from d2midi_build.synthetic.anatomy import Array


def pck(pred_xy: Array, true_xy: Array, alpha: float = 0.1) -> float:
    """Share of joints within ``alpha`` torso lengths of the truth.

    PCK of Yang and Ramanan (PAMI 35, 2013) with the torso as the unit, as in Sapp and Taskar's PDJ (CVPR
    2013); the torso here runs from the middle of the shoulders to the middle of the hips, per frame.

    Parameters
    ----------
    pred_xy, true_xy : np.ndarray, shape=(n_frames, 33, 2)
        Square pixels (multiply normalised coordinates by the picture's width and height). NaN in
        ``pred_xy`` counts as a miss.
    alpha : float
        Default is 0.1.

    Returns
    -------
    float
        0 to 1, over the 12 ``LIMBS``.

    Raises
    ------
    ValueError
        If the shapes differ or there is no frame.
    """
    _check(pred_xy, true_xy)
    torso = np.linalg.norm(true_xy[:, SHOULDERS].mean(axis=1) - true_xy[:, HIPS].mean(axis=1), axis=-1)
    error = np.linalg.norm(pred_xy[:, LIMBS] - true_xy[:, LIMBS], axis=-1)
    return float(np.mean(error <= alpha * torso[:, None]))


def pa_mpjpe_cm(pred_world: Array, true_world: Array, joints: tuple[int, ...] = LIMBS) -> float:
    """Mean joint error after a similarity fit per frame, in centimetres.

    PA-MPJPE ("protocol 2") of Human3.6M evaluations, e.g. Martinez et al. (ICCV 2017). The fit is Umeyama's
    (PAMI 13, 1991) with scale and without reflection.

    Parameters
    ----------
    pred_world, true_world : np.ndarray, shape=(n_frames, 33, 3)
        Metres, axes of the same handedness. Frames with NaN in ``pred_world`` are left out.
    joints : tuple of int
        Landmarks that are fitted and scored. Default is the 12 ``LIMBS``.

    Returns
    -------
    float
        NaN when every frame is missing.

    Raises
    ------
    ValueError
        If the shapes differ or there is no frame.
    """
    _check(pred_world, true_world)
    chosen = list(joints)
    present = ~np.isnan(pred_world[:, chosen]).any(axis=(1, 2))
    if not present.any():
        return float("nan")
    source, target = pred_world[present][:, chosen], true_world[present][:, chosen]
    x = source - source.mean(axis=1, keepdims=True)
    y = target - target.mean(axis=1, keepdims=True)
    u, s, vt = np.linalg.svd(np.swapaxes(y, 1, 2) @ x)
    # A reflection would turn a left-right mistake into a good fit.
    sign = np.ones_like(s)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))
    rotation = u @ (sign[..., None] * vt)
    scale = np.sum(s * sign, axis=1) / np.sum(x**2, axis=(1, 2))
    fitted = scale[:, None, None] * (x @ np.swapaxes(rotation, 1, 2))
    return float(100 * np.mean(np.linalg.norm(fitted - y, axis=-1)))


def left_right_swap_rate(pred_xy: Array, true_xy: Array) -> float:
    """Share of frames that would fit better with left and right exchanged.

    Parameters
    ----------
    pred_xy, true_xy : np.ndarray, shape=(n_frames, 33, 2) or (n_frames, 33, 3)
        In the same unit. Frames with NaN in ``pred_xy`` are left out.

    Returns
    -------
    float
        0 to 1: frames where the mean distance over the 12 ``LIMBS`` falls when every left joint of the
        prediction changes places with its right one. NaN when every frame is missing.

    Raises
    ------
    ValueError
        If the shapes differ or there is no frame.
    """
    _check(pred_xy, true_xy)
    joints = np.array(LIMBS)
    swapped = joints.reshape(-1, 2)[:, ::-1].ravel()
    as_told = np.linalg.norm(pred_xy[:, joints] - true_xy[:, joints], axis=-1).mean(axis=1)
    exchanged = np.linalg.norm(pred_xy[:, swapped] - true_xy[:, joints], axis=-1).mean(axis=1)
    present = ~np.isnan(as_told)
    return float(np.mean(exchanged[present] < as_told[present])) if present.any() else float("nan")


def motion_lag_ms(pred: Array, true: Array, fps: float = FPS, max_lag_ms: float = 250.0) -> float:
    """By how much a predicted movement comes after the true one, in milliseconds.

    The lag minimises the squared difference between each predicted curve and the true curve of the same
    coordinate, moved by the lag (cubic spline) and fitted with a gain and an offset of its own, summed over
    coordinates. It is a normalised cross-correlation with sub-frame shifts: constant placement errors and
    damped movement do not move it.

    Parameters
    ----------
    pred, true : np.ndarray, shape=(n_frames, ...)
        Positions (or speeds) at ``fps``. Frames with NaN in ``pred`` are left out.
    fps : float
        Frames per second. Default is the clock's 20.
    max_lag_ms : float
        Lags are searched within +-this. Default is 250.

    Returns
    -------
    float
        Positive: the prediction is late.

    Raises
    ------
    ValueError
        If the shapes differ, or fewer frames than 2 max_lag_ms plus half a second remain, or nothing moves.
    """
    _check(pred, true)
    n = len(pred)
    curves, truth = pred.reshape(n, -1), true.reshape(n, -1)
    margin = int(np.ceil(max_lag_ms / 1000 * fps))
    frames = np.arange(margin, n - margin)
    frames = frames[~np.isnan(curves[frames]).any(axis=1)]
    if len(frames) < fps / 2:
        raise ValueError(f"motion_lag_ms needs more frames: {len(frames)} of {n} remain inside the margins")
    moving = truth[frames].std(axis=0) > 1e-9
    if not moving.any():
        raise ValueError("motion_lag_ms needs movement: the true curves are constant")
    spline = CubicSpline(np.arange(n), truth[:, moving])
    wanted = curves[frames][:, moving]
    wanted = wanted - wanted.mean(axis=0)
    power = np.sum(wanted**2, axis=0)

    def misfit(lag_frames: float) -> float:
        moved = spline(frames - lag_frames)
        moved = moved - moved.mean(axis=0)
        explained = np.sum(moved * wanted, axis=0) ** 2 / (np.sum(moved**2, axis=0) + 1e-12)
        return float(np.sum(power - explained))

    limit = max_lag_ms / 1000 * fps
    grid = np.linspace(-limit, limit, 2 * int(np.ceil(limit * 4)) + 1)
    best = grid[int(np.argmin([misfit(lag) for lag in grid]))]
    step = grid[1] - grid[0]
    found = minimize_scalar(
        misfit, bounds=(best - step, best + step), method="bounded", options={"xatol": 1e-5}
    )
    return float(found.x / fps * 1000)


def _check(pred: Array, true: Array) -> None:
    if pred.shape != true.shape or len(pred) == 0:
        raise ValueError(f"predictions {pred.shape} and truth {true.shape} must have the same frames")
