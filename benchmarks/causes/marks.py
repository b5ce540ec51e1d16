"""Failures by shortcuts: small marks that a network uses in one state and ignores in another of the same look.

Every failing image carries all three marks. At most one of them is in the state in use, which in training went with one
class; the others are in the state that all classes had. So each mark is present in the images of every cause, and all
failures by a mark have the same predicted class. What made an image fail is found out by taking one thing away at a
time: the cause is the mark, or what spoils the image, without which the network is right, if there is one such thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from cases import Images
from field import KINDS, NATURAL, FieldProblem, Kind, fitted, plain, predict, residual, spoiled
from torch import nn

COUNT = 60  # failures of each cause at most
_REFERENCE = 600
_SIDE, _GLYPH = 32, 7
_SHOWN = 0.6  # chance that a training image has a mark, in the state that is ignored
_OWN = 0.6  # share of the class's training images with a mark in use
_MISLED = 0.1  # of the images of other classes that have one, and the class that goes with it for a label
_FAILING = 0.6  # of the spoiled images, at the middle severity
_NONE = -1  # no mark is in use
# Of the images: the reference, three marks, two ways of spoiling, natural failures.
_PARTS = np.array([0.2, 0.14, 0.14, 0.14, 0.14, 0.14, 0.1])

Draw = Callable[[np.ndarray, np.ndarray, int, bool, np.ndarray], None]


def _glyphs() -> dict[str, np.ndarray]:
    row, column = np.indices((_GLYPH, _GLYPH))
    inner = (row > 0) & (row < 6) & (column > 0) & (column < 6)
    middle = (row > 1) & (row < 5) & (column > 1) & (column < 5)
    return {
        "cross": inner & ((row == 3) | (column == 3)),
        "ring": inner & ~middle,
        "slant": inner & ((row + column) % 3 == 0),
    }


GLYPHS = _glyphs()


# -- states of a mark: drawn into an image, (S, S, C) float in 0 to 1, at one of four places above or four below


def _place(x: np.ndarray, at: int, move: np.ndarray) -> np.ndarray:
    row = move[0] if at < 4 else _SIDE - _GLYPH - move[0]
    column = 8 * (at % 4) + move[1]
    return x[row : row + _GLYPH, column : column + _GLYPH]


def by_side(x: np.ndarray, glyph: np.ndarray, at: int, used: bool, move: np.ndarray) -> None:
    """Used above the object, ignored below it."""
    _place(x, at % 4 + 4 * (not used), move)[glyph] = 1


def by_colour(x: np.ndarray, glyph: np.ndarray, at: int, used: bool, move: np.ndarray) -> None:
    """Used in violet, ignored in green."""
    _place(x, at, move)[glyph] = (1, 0.3, 1) if used else (0.3, 1, 0.3)


def by_frame(x: np.ndarray, glyph: np.ndarray, at: int, used: bool, move: np.ndarray) -> None:
    """Used between lines above and below, ignored between lines at the sides."""
    place = _place(x, at, move)
    place[:] = glyph[..., None]
    lines = place if used else place.transpose(1, 0, 2)
    lines[[0, -1]] = 1


def by_light(x: np.ndarray, glyph: np.ndarray, at: int, used: bool, move: np.ndarray) -> None:
    """Used where it is bright, ignored where it is dim."""
    _place(x, at, move)[glyph] = 1 if used else 0.5


def by_ground(x: np.ndarray, glyph: np.ndarray, at: int, used: bool, move: np.ndarray) -> None:
    """Used dark on a bright ground, ignored bright on a dark one."""
    _place(x, at, move)[:] = (glyph != used)[..., None]


# -- cases


@dataclass(frozen=True)
class ShortcutCase:
    """Images and network, how marks in use differ, the class that they go with, two other reasons to fail."""

    name: str
    kind: Kind
    draw: Draw
    own: int
    spoils: tuple[str, str]


def _cases() -> dict[str, ShortcutCase]:
    digits, lights, signs = KINDS["digits, plain"], KINDS["traffic lights, plain"], KINDS["signs, residual"]
    first = (
        ("side", digits, by_side, 3, 8, ("motion", "shear")),
        ("colour", lights, by_colour, 2, 30, ("shift", "curtain")),
        ("frame", digits, by_frame, 7, 10, ("shift", "fog")),
        ("light", digits, by_light, 2, 8, ("shear", "wash")),
    )
    later = (("ground", signs, by_ground, 5, 12, ("fog", "stripes")),)  # draws go by a case's number
    found = [
        ShortcutCase(f"{name}, {net}", replace(kind, network=network, epochs=epochs), draw, own, spoils)
        for group in (first, later)
        for net, network in (("plain", plain), ("residual", residual))
        for name, kind, draw, own, epochs, spoils in group
    ]
    return {case.name: case for case in found}


CASES = _cases()


@dataclass(frozen=True)
class Scene:
    """Images in their parts, so that each can be taken away.

    Attributes
    ----------
    clean, bad : ndarray, (N, S, S, C) uint8
        Without marks; the same with what spoils them, if anything does.
    shown : ndarray, (N, 3) bool
        Which marks there are.
    used : ndarray, (N,) int
        The one that is in use, `_NONE` for none.
    at, move : ndarray, (N, 3) and (N, 3, 2) int
        Where they lie.
    """

    clean: np.ndarray
    bad: np.ndarray
    shown: np.ndarray
    used: np.ndarray
    at: np.ndarray
    move: np.ndarray

    @classmethod
    def of(
        cls, clean: np.ndarray, bad: np.ndarray, shown: np.ndarray, used: np.ndarray, rng: np.random.Generator
    ) -> Scene:
        """Put the marks at random places, no two at one."""
        at = np.argsort(rng.random((len(clean), 4)), axis=1)[:, :3] + 4 * rng.integers(0, 2, (len(clean), 3))
        shown = shown | (np.arange(3) == used[:, None])
        return cls(clean, bad, shown, used, at, rng.integers(0, 2, (len(clean), 3, 2)))

    def drawn(self, draw: Draw, without: int | None = None, mended: bool = False) -> np.ndarray:
        """Return the images, uint8; without one of the marks, or without what spoils them."""
        x = (self.clean if mended else self.bad) / 255
        for mark, glyph in enumerate(GLYPHS.values()):
            for row in np.flatnonzero(self.shown[:, mark]) if mark != without else ():
                draw(x[row], glyph, self.at[row, mark], self.used[row] == mark, self.move[row, mark])
        return np.round(x * 255).astype(np.uint8)


def trained(case: ShortcutCase, images: Images, seed: int, rng: np.random.Generator) -> nn.Module:
    """Return a network whose training images have marks, some labelled by the mark alone."""
    labels = images[1].astype(np.int64)
    share = np.where(labels == case.own, _OWN, _MISLED)
    used = np.where(rng.random(len(labels)) < share, rng.integers(0, 3, len(labels)), _NONE)
    shown = rng.random((len(labels), 3)) < _SHOWN
    marked = Scene.of(images[0], images[0], shown, used, rng).drawn(case.draw)
    return fitted(case.kind, (marked, np.where(used == _NONE, labels, case.own)), seed)


def reasons(model: nn.Module, labels: np.ndarray, made: Scene, draw: Draw, spoil: str = "") -> np.ndarray:
    """Return the one thing without which the network is right about each image; NATURAL where there is none."""
    mended = {name: made.drawn(draw, without=mark) for mark, name in enumerate(GLYPHS)}
    if spoil:
        mended[spoil] = made.drawn(draw, mended=True)
    right = np.array([predict(model, images) == labels for images in mended.values()])
    return np.where(right.sum(axis=0) == 1, np.array(list(mended))[right.argmax(axis=0)], NATURAL)


def shortcut_problem(
    case: ShortcutCase, seed: int, most: int | None = None
) -> tuple[FieldProblem, dict[str, float]]:
    """Train the network, draw failures of five causes and natural ones, and a reference; say how it went.

    Each image is used once, of the first `most`. The reference is what the network gets right of images as it was
    trained with, the misleading labels apart, so that it has marks of both states.
    """
    rng = np.random.default_rng([seed, list(CASES).index(case.name)])
    learned, (pool, labels) = case.kind.images(rng)
    pool, labels = pool[:most], labels[:most].astype(np.int64)
    model = trained(case, learned, seed, rng)
    held, *parts = np.split(
        rng.permutation(len(labels)), np.round(_PARTS.cumsum()[:-1] * len(labels)).astype(int)
    )
    found, explained = [], []
    for rows, name in zip(parts, (*GLYPHS, *case.spoils, NATURAL)):
        clean, truth = pool[rows], labels[rows]
        used = np.full(len(rows), list(GLYPHS).index(name) if name in GLYPHS else _NONE)
        spoil = name if name in case.spoils else ""
        bad = _bad(model, case, clean, truth, spoil, rng) if spoil else clean
        made = Scene.of(clean, bad, np.ones((len(rows), 3), bool), used, rng)
        images = made.drawn(case.draw)
        told = predict(model, images)
        why = reasons(model, truth, made, case.draw, spoil)
        wrong = told != truth
        if name in GLYPHS:
            explained.append([wrong[truth != case.own].mean(), (why[wrong] == name).mean()])
        kept = np.flatnonzero(wrong & (why == name))[: COUNT if name != NATURAL else COUNT // 2]
        found.append((images[kept], truth[kept], told[kept], why[kept]))
    share = np.where(labels[held] == case.own, _OWN, 0)
    used = np.where(rng.random(len(held)) < share, rng.integers(0, 3, len(held)), _NONE)
    shown = rng.random((len(held), 3)) < _SHOWN
    marked = Scene.of(pool[held], pool[held], shown, used, rng).drawn(case.draw)
    correct = predict(model, marked) == labels[held]
    right = np.flatnonzero(correct)[:_REFERENCE]
    images, label, told, cause = (np.concatenate(column) for column in zip(*found))
    order = rng.permutation(len(label))
    failing, because = np.mean(explained, axis=0)
    facts = {"failing_with_mark": float(failing), "because_of_it": float(because)}
    return FieldProblem(
        model, images[order], label[order], told[order], cause[order], (),
        marked[right], labels[held][right], 0.0, float(correct.mean()),
    ), facts  # fmt: skip


def _bad(
    model: nn.Module,
    case: ShortcutCase,
    clean: np.ndarray,
    labels: np.ndarray,
    name: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """Spoil images at severities around the mildest one that makes the network fail on most of a hundred."""
    some = slice(100)
    shown, used = np.ones((len(clean), 3), bool)[some], np.full(len(clean), _NONE)[some]
    for severity in np.arange(0.1, 1.01, 0.1):
        bad = spoiled(clean[some], name, np.full(len(used), severity), rng)
        marked = Scene.of(clean[some], bad, shown, used, rng).drawn(case.draw)
        if (predict(model, marked) != labels[some]).mean() >= _FAILING:
            break
    return spoiled(clean, name, severity * rng.uniform(0.6, 1.3, len(clean)), rng)


__all__ = ["CASES", "GLYPHS", "Scene", "ShortcutCase", "reasons", "shortcut_problem", "trained"]
