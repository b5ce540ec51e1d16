"""A procedural renderer of a driver's eye, in the manner of the paper's simulator (UnityEyes).

Everything is drawn in units of the eyeball's radius with its centre as the origin, x to the right (towards the
temple: it is a left eye), y up, z to the camera. The eyeball is a sphere whose iris and pupil are caps around the
gaze direction, so both foreshorten as they should. Lids, lashes, brow and skin are drawn in face coordinates (u, v),
which the head's pose shifts and compresses against the eyeball. Shading is Lambert's, in linear light. All images of
a block are drawn at once; edges are anti-aliased by soft steps and supersampling.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import numpy as np
from scipy import ndimage

SIZE = 64
_SUPERSAMPLING = 2
_BLOCK = 16
_HALF_WIDTH = 1.75  # of the frame, in eyeball radii
_CENTRE_Y = 0.22  # of the frame: above the eyeball's, so that the brow is in it
_CORNER = 1.22  # half the distance between the corners of the eye

# sRGB colours.
_SKIN = ((244, 208, 188), (226, 178, 150), (192, 138, 106), (140, 92, 66), (84, 54, 40))
_IRIS = ((96, 132, 160), (92, 122, 106), (124, 110, 66), (116, 74, 40), (70, 42, 26))
_SCLERA = (230, 223, 216)
_FLESH = (206, 132, 122)
_HAIR = (36, 26, 22)

Field = np.ndarray  # (n, side, side) float32, or broadcastable to it; colours are (3, n, side, side)


def render(parameters: Mapping[str, np.ndarray], rng: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """Draw one eye a row of the parameters.

    Parameters
    ----------
    parameters : mapping of str to (N,) float
        ``gaze_yaw``, ``gaze_pitch``, ``head_yaw``, ``head_pitch``, ``light_angle`` in degrees (positive to the right of
        the picture and up; gaze relative to the camera); ``eyelid_opening`` (0 closed, 1 wide awake);
        ``iris_size`` (radius in eyeball radii) and ``pupil_size`` (radius in iris radii); ``light`` and ``ambient``
        (irradiance); ``skin`` and ``iris_colour`` (0 light to 1 dark); ``blur`` (standard deviation in pixels of a
        picture of 64) and ``noise`` (standard deviation as a share of full range).
    rng : numpy.random.Generator
        Draws the texture of iris and skin, and the noise.
    size : int
        Side of the pictures in pixels.

    Returns
    -------
    numpy.ndarray
        (N, size, size, 3) uint8, sRGB.
    """
    rows = {name: np.asarray(values, dtype=np.float32) for name, values in parameters.items()}
    count = len(rows["gaze_yaw"])
    images = np.empty((count, size, size, 3), dtype=np.uint8)
    starts = range(0, count, _BLOCK)

    def fill(start: int, block_rng: np.random.Generator) -> None:
        part = slice(start, start + _BLOCK)
        images[part] = _photograph({name: values[part] for name, values in rows.items()}, block_rng, size)

    # A generator a block: the result does not depend on the number of threads.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, starts, rng.spawn(len(starts))))
    return images


def landmarks(parameters: Mapping[str, np.ndarray], size: int = SIZE) -> dict[str, np.ndarray]:
    """Return where the landmarks of each eye are: corners, lids, brow and the middle of the iris.

    Parameters
    ----------
    parameters : mapping of str to (N,) float
        As for :func:`render`.
    size : int
        Side of the images in pixels.

    Returns
    -------
    dict of str to numpy.ndarray
        (N, 2) x and y by name, in pixels; 0 is the middle of the first one. A hidden iris has a place too.
    """
    rows = {name: np.asarray(values, np.float64) for name, values in parameters.items()}
    yaw, pitch = np.radians(rows["gaze_yaw"]), np.radians(rows["gaze_pitch"])
    places = {"iris": (np.sin(yaw) * np.cos(pitch), np.sin(pitch))}
    for name, t in (("inner", -1.0), ("outer", 1.0)):
        places[f"{name}_corner"] = _on_screen(rows, np.array(t * _CORNER), _Lids(rows, np.array(t)).lower)
    for name, t in (("inner", -0.5), ("middle", 0.0), ("outer", 0.5)):
        lids = _Lids(rows, np.array(t))
        places[f"upper_lid_{name}"] = _on_screen(rows, np.array(t * _CORNER), lids.upper)
        places[f"lower_lid_{name}"] = _on_screen(rows, np.array(t * _CORNER), lids.lower)
    for name, u in (("inner", -1.0), ("middle", 0.0), ("outer", 1.0)):
        places[f"brow_{name}"] = _on_screen(rows, np.array(u), _brow(np.array(u)))
    pixels = size / (2 * _HALF_WIDTH)
    return {
        name: np.stack([(x + _HALF_WIDTH) * pixels, (_CENTRE_Y - y + _HALF_WIDTH) * pixels], 1) - 0.5
        for name, (x, y) in places.items()
    }


def _on_screen(p: Mapping[str, np.ndarray], u: Field, v: Field) -> tuple[np.ndarray, np.ndarray]:
    """Return where face coordinates lie in the picture: the pose of :class:`_Scene` the other way round."""
    found = []
    for angle, place, bulge in ((p["head_yaw"], u, 0.10), (p["head_pitch"], v, 0.06)):
        turn = np.radians(angle)
        at = place * np.cos(turn)
        for _ in range(30):  # it contracts: the slope is below 0.5
            at = place * np.cos(turn) + np.sin(turn) * (0.85 - bulge * at**2)
        found.append(at)
    return found[0], found[1]


def _brow(u: Field) -> Field:
    """Height of the middle of the brow."""
    middle: Field = 1.20 + 0.10 * np.tanh(1.5 * (u + 1.0)) - 0.13 * np.clip(u - 0.1, 0, None) ** 2
    return middle


def _photograph(rows: Mapping[str, np.ndarray], rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a block, then blur and noise of the camera: (n, size, size, 3) float, 0 to 255."""
    phases = rng.uniform(0, 2 * np.pi, (17, len(rows["gaze_yaw"]), 1, 1)).astype(np.float32)
    linear = _draw({name: values[:, None, None] for name, values in rows.items()}, phases, size)
    picture = np.clip(linear, 0, 1) ** np.float32(1 / 2.2)
    for row, sigma in enumerate(rows["blur"] * (size / 64)):
        ndimage.gaussian_filter(picture[:, row], (0, sigma, sigma), output=picture[:, row], mode="nearest")
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * rows["noise"][:, None, None]
    levels: np.ndarray = np.round(np.clip(picture, 0, 1) * 255).transpose(1, 2, 3, 0)
    return levels


class _Scene:
    """What the parts of the picture share: the pose, the lamp, and the face coordinates of a grid of `side` points."""

    def __init__(self, p: Mapping[str, Field], side: int) -> None:
        steps = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1
        self.x = (_HALF_WIDTH * steps)[None, None, :]
        self.y = (_CENTRE_Y - _HALF_WIDTH * steps)[None, :, None]
        self.edge = np.float32(2 * _HALF_WIDTH / side)
        self.turn, self.nod = np.radians(p["head_yaw"]), np.radians(p["head_pitch"])
        angle = np.radians(p["light_angle"])
        self.light = _unit(np.stack([0.8 * np.sin(angle), np.full_like(angle, 0.5), 0.85 * np.cos(angle)]))
        # The face lies in front of the eyeball's centre and curves away from the camera.
        self.u = (self.x - np.sin(self.turn) * (0.85 - 0.10 * self.x**2)) / np.cos(self.turn)
        self.v = (self.y - np.sin(self.nod) * (0.85 - 0.06 * self.y**2)) / np.cos(self.nod)
        self.t = np.clip(self.u / _CORNER, -1, 1)
        self.lids = _Lids(p, self.t)


def _draw(p: Mapping[str, Field], phase: np.ndarray, size: int) -> np.ndarray:
    """Draw a block: (3, n, size, size) linear light."""
    fine = _Scene(p, size * _SUPERSAMPLING)
    lids = fine.lids
    opening = _step(np.minimum(lids.upper - fine.v, fine.v - lids.lower), fine.edge)
    opening *= _step(_CORNER - np.abs(fine.u), fine.edge)
    eyeball = _shrink(_eyeball(p, fine, phase) * opening)
    linear = _skin(p, _Scene(p, size), phase)  # smooth: no need to supersample
    linear = linear * (1 - _shrink(opening)) + eyeball
    hair = _colour(_HAIR) * (p["ambient"] + 0.6 * p["light"])
    covered: np.ndarray = linear + _shrink(_hair(p, fine, phase)) * (hair - linear)
    return covered


def _shrink(field: np.ndarray) -> np.ndarray:
    """Average supersampled points to pixels."""
    s = _SUPERSAMPLING
    return reduce(np.add, (field[..., i::s, j::s] for i in range(s) for j in range(s))) * np.float32(1 / s**2)


class _Lids:
    """Height of the lids' edges and of the fold above, over the position `t` from the nose (-1) to the temple (1)."""

    def __init__(self, p: Mapping[str, Field], t: Field) -> None:
        opening = p["eyelid_opening"]
        tilt = 0.02 + 0.07 * t
        arch = 1 - t**2
        follow = np.sin(np.radians(p["gaze_pitch"]))  # the upper lid goes with the gaze
        upper_shape = arch**0.7 * (1 - 0.16 * t)
        lower_shape = arch**0.95 * (1 + 0.18 * t)
        self.lower = tilt - (0.30 + 0.08 * opening - 0.08 * follow * opening) * lower_shape
        upper = tilt + (-0.30 + 0.86 * opening + 0.22 * follow * opening) * upper_shape
        self.upper = np.maximum(upper, self.lower)
        self.fold = tilt + (0.42 + 0.30 * opening) * (1 - (0.9 * t) ** 2) ** 0.6 * (1 - 0.12 * t)
        self.fold_depth = np.clip(0.25 + 0.6 * opening, 0, 0.8)


def _eyeball(p: Mapping[str, Field], scene: _Scene, phase: np.ndarray) -> np.ndarray:
    x, y, t, v, lids, light = scene.x, scene.y, scene.t, scene.v, scene.lids, scene.light
    yaw, pitch = np.radians(p["gaze_yaw"]), np.radians(p["gaze_pitch"])
    gaze = (np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch))
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0.03))
    # Position around the gaze axis: a to its right, b above it; their hypotenuse is the sine of the angle to it.
    a = np.cos(yaw) * x - np.sin(yaw) * z
    b = np.cos(pitch) * y - np.sin(pitch) * (np.sin(yaw) * x + np.cos(yaw) * z)
    facing = gaze[0] * x + gaze[1] * y + gaze[2] * z
    radius = np.hypot(a, b) + (facing < 0)
    around = np.arctan2(b, a)

    lambert = p["ambient"] + p["light"] * np.maximum(light[0] * x + light[1] * y + light[2] * z, 0)
    lashes_shade = 1 - 0.62 * np.exp(-np.maximum(lids.upper - v, 0) / 0.13)
    lashes_shade *= 1 - 0.25 * np.exp(-np.maximum(v - lids.lower, 0) / 0.07)
    shade = lambert * lashes_shade

    veins = 0.5 + 0.5 * np.sin(9 * y + 5 * np.sin(4 * x + phase[0]) + phase[1])
    redness = np.clip(0.10 * veins**6 + np.abs(t) ** 6 * 0.55, 0, 1)
    caruncle = _step(-0.80 - t, 0.08)
    sclera = _mix(_colour(_SCLERA) * np.float32(0.92), _colour(_FLESH), np.maximum(redness, 0.85 * caruncle))

    iris_radius, pupil_radius = p["iris_size"], p["iris_size"] * p["pupil_size"]
    soft = np.float32(0.025)
    iris = sclera + _step(iris_radius - radius, soft) * (
        _iris(p, radius, around, a, b, light, phase) - sclera
    )
    ball = iris * (1 - 0.96 * _step(pupil_radius - radius, soft)) * shade

    # The cornea bulges around the gaze axis: its highlight follows both gaze and light.
    half = _unit(light + np.array([0, 0, 1], dtype=np.float32)[:, None, None, None])
    spot_x, spot_y = 0.62 * gaze[0] + 0.42 * half[0], 0.62 * gaze[1] + 0.42 * half[1]
    spot = _step(0.085 - np.hypot(x - spot_x, 0.8 * (y - spot_y)), 0.04)
    window = _step(0.05 - np.hypot(x - 0.62 * gaze[0] + 0.45 * half[0], y - 0.62 * gaze[1] + 0.14), 0.04)
    shine = p["light"] * spot + 0.5 * p["ambient"] * window
    # Tears gather on the edge of the lower lid.
    rim = np.exp(-(((v - lids.lower - 0.035) / 0.03) ** 2)) * (1 - np.abs(t) ** 4)
    wet = _colour(_FLESH) * 1.25 * lambert
    ball = _mix(ball, wet, 0.7 * rim)
    shining: Field = ball + (shine * lashes_shade)
    return shining


def _iris(
    p: Mapping[str, Field],
    radius: Field,
    around: Field,
    a: Field,
    b: Field,
    light: np.ndarray,
    phase: np.ndarray,
) -> np.ndarray:
    iris, pupil = p["iris_size"], p["iris_size"] * p["pupil_size"]
    outward = np.clip((radius - pupil) / (iris - pupil), 0, 1)
    fibres = (
        np.cos(13 * around + phase[2] + 2 * np.sin(6 * outward + phase[3]))
        + np.cos(23 * around + phase[4] - 3 * outward)
        + 0.8 * np.cos(37 * around + phase[5] + 2 * np.cos(5 * outward + phase[6]))
    )
    collarette = np.exp(-(((outward - 0.28) / 0.13) ** 2))
    limbus = np.clip((radius / iris - 0.76) / 0.24, 0, 1) ** 1.5
    # Light bent by the cornea brightens the side away from the lamp.
    caustic = -(a * light[0] + b * light[1]) / iris
    tone = (0.95 + 0.13 * fibres + 0.45 * collarette + 0.35 * caustic) * (1 - 0.82 * limbus)
    warm = _mix(_palette(_IRIS, p["iris_colour"]), _colour((150, 104, 52)), 0.45 * collarette)
    colour: Field = warm * np.maximum(tone, 0.05)
    return colour


def _skin(p: Mapping[str, Field], scene: _Scene, phase: np.ndarray) -> np.ndarray:
    u, v, lids, light, turn, nod = scene.u, scene.v, scene.lids, scene.light, scene.turn, scene.nod
    # Slopes of the face: lids over the ball, the hollow under the brow, brow, nose, cheek and temple.
    bulge = np.exp(-((u / 1.15) ** 2) - ((v + 0.02) / 0.62) ** 2)
    nose = _step(-1.15 - 0.22 * v - u, 1.2)
    temple = _step(u - 1.45 - 0.15 * v, 1.3)
    brow = np.exp(-(((v - 0.85) / 0.28) ** 2)) - 0.8 * np.exp(-(((v - 1.55) / 0.3) ** 2))
    cheek = np.exp(-(((v + 1.1) / 0.35) ** 2))
    nx = 0.75 * bulge * u + 0.85 * nose + 0.75 * temple
    ny = 1.1 * bulge * v - 0.55 * brow + 0.3 * cheek
    nz = np.ones_like(nx)
    nx, nz = nx * np.cos(turn) + nz * np.sin(turn), nz * np.cos(turn) - nx * np.sin(turn)
    ny, nz = ny * np.cos(nod) + nz * np.sin(nod), nz * np.cos(nod) - ny * np.sin(nod)
    facing = (light[0] * nx + light[1] * ny + light[2] * nz) / np.sqrt(nx**2 + ny**2 + nz**2)
    lambert = p["ambient"] + p["light"] * np.maximum(facing, 0)

    above = v - lids.upper
    inside = np.clip(1 - np.abs(u / (1.12 * _CORNER)) ** 4, 0, 1)
    fold = np.exp(-(((v - lids.fold) / 0.045) ** 2)) + 0.45 * np.exp(-np.maximum(v - lids.fold, 0) / 0.16) * (
        v > lids.fold
    )
    crease = lids.fold_depth * 0.6 * inside * np.clip(fold, 0, 1)
    bag = 0.20 * inside * np.exp(-(((v - lids.lower + 0.24 - 0.05 * u) / 0.06) ** 2))
    socket = 0.35 * np.exp(-(((u + 1.25) / 0.35) ** 2) - ((v - 0.45) / 0.45) ** 2)
    occlusion = (1 - crease) * (1 - bag) * (1 - socket)

    blotches = (
        np.sin(2.1 * u + 1.3 * v + phase[7])
        + np.sin(3.7 * v - 1.9 * u + phase[8])
        + 0.7 * np.sin(7 * u + 5 * v + phase[9])
    )
    pores = np.sin(31 * u + 9 * np.sin(13 * v + phase[10])) * np.sin(29 * v + 7 * np.sin(11 * u + phase[11]))
    texture = 1 + 0.025 * blotches + 0.03 * pores
    # Lids and their corners are redder than the face.
    flush = (
        0.22 * np.exp(-np.abs(above) / 0.12) * inside + 0.18 * np.exp(-np.abs(v - lids.lower) / 0.10) * inside
    )
    albedo = _mix(_palette(_SKIN, p["skin"]), _palette(_SKIN, p["skin"]) * _colour((235, 160, 150)), flush)
    gloss = 0.04 * p["light"] * np.maximum(facing, 0) ** 8
    reflected: Field = albedo * (lambert * occlusion * texture) + (gloss * occlusion)
    return reflected


def _hair(p: Mapping[str, Field], scene: _Scene, phase: np.ndarray) -> Field:
    """Coverage by lashes and brow, 0 to 1."""
    u, v, t, lids = scene.u, scene.v, scene.t, scene.lids
    within = _step(1.02 - np.abs(u / _CORNER), 0.05)
    # Upper lashes rise from an open lid and hang from a closed one; they fan out from the middle.
    rise = np.clip((p["eyelid_opening"] - 0.25) * 4, -0.75, 1)
    rise = np.where(np.abs(rise) < 0.3, -0.3, rise)
    along = (v - lids.upper) / (rise * (0.27 + 0.06 * t))
    upper = _lashes(u, along, 11.0, 0.32, phase[12])
    below = (lids.lower - v) / (0.13 + 0.03 * t)
    lower = 0.55 * _lashes(u, below, 8.0, 0.22, phase[13])
    line = 0.9 * np.exp(-(((v - lids.upper - 0.01) / 0.04) ** 2)) + 0.25 * np.exp(
        -(((v - lids.lower + 0.01) / 0.03) ** 2)
    )
    lash = np.clip(np.maximum(np.maximum(upper, lower), line), 0, 1) * within

    middle = _brow(u)
    thick = np.clip(0.17 - 0.055 * (u + 0.2), 0.03, 0.2)
    ends = _step(1.55 - u, 0.3) * _step(u + 1.45, 0.25)
    across = (v - middle) / thick
    strands = 0.5 + 0.5 * np.sin(34 * (u - 0.8 * (v - middle)) + 3 * np.sin(7 * u + phase[14]) + phase[15])
    strands = 0.65 + 0.35 * strands * (0.7 + 0.3 * np.sin(61 * (u - 0.5 * (v - middle)) + phase[16]))
    brow = np.exp(-(np.abs(across) ** 3)) * ends * strands
    opacity: Field = np.maximum(0.95 * lash, 0.88 * brow)
    return opacity


def _lashes(u: Field, along: Field, number: float, width: float, phase: np.ndarray) -> Field:
    """Coverage by a fan of lashes; `along` runs from 0 at the root to 1 at the tip."""
    shaft = np.clip(along, 0, 1)
    root = u / (1 + 0.30 * shaft)
    place = root * number + 0.35 * np.sin(5.3 * root + phase)
    distance = np.abs(place - np.round(place))
    tip = 0.75 + 0.25 * np.sin(2.6 * np.round(place) + phase)
    taper = np.clip(tip - shaft, 0, 1)
    opacity: Field = _step(width * taper**0.7 - distance, 0.22) * (along > 0) * (taper > 0)
    return opacity


def _step(distance: Field, width: float | np.floating) -> Field:
    """Rise smoothly from 0 to 1 as `distance` goes from minus to plus half of `width`."""
    s = np.clip(distance / width + 0.5, 0, 1)
    return s * s * (3 - 2 * s)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors along the first axis to length one."""
    scaled: np.ndarray = vectors / np.sqrt((vectors**2).sum(axis=0))
    return scaled


def _colour(srgb: tuple[int, int, int]) -> np.ndarray:
    return ((np.array(srgb, dtype=np.float32) / 255) ** np.float32(2.2))[:, None, None, None]


def _palette(colours: tuple[tuple[int, int, int], ...], position: Field) -> np.ndarray:
    """Interpolate a row of colours at positions 0 to 1."""
    linear = np.stack([_colour(colour).ravel() for colour in colours])
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(position, stops, linear[:, c]) for c in range(3)]).astype(np.float32)


def _mix(base: np.ndarray, other: np.ndarray, share: Field) -> np.ndarray:
    mixed: np.ndarray = base + share * (other - base)
    return mixed
