"""What a bad input is, and what they are made with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from hudd.store.seal import sealed

Prepare = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes
    ----------
    about : str
        The section of the table that it stands in.
    what : str
        What is wrong, as a person would say it.
    arguments : tuple of str
        Of the command line. ``study`` is a finished study; ``model.py:cnn`` fits ``test.npz``, ``train.npz`` and
        ``improvement.npz``.
    prepare : callable
        Writes the bad files into the current directory.
    code : int
        The exit code: 2, the call was wrong; 1, the work failed.
    foreign : str
        A regular expression of what the message quotes of another library, whose words are not ours to promise.
    """

    about: str
    what: str
    arguments: tuple[str, ...]
    prepare: Prepare = lambda: None
    code: int = 2
    foreign: str = "(?!)"


CASES: list[Case] = []


def add(
    about: str, what: str, call: str, prepare: Prepare = lambda: None, code: int = 2, foreign: str = "(?!)"
) -> None:
    CASES.append(Case(about, what, tuple(call.split()), prepare, code, foreign))


def new(
    about: str, what: str, call: str, prepare: Prepare = lambda: None, code: int = 2, foreign: str = "(?!)"
) -> None:
    """A new study of the sound model, weights and test set, but for what `call` replaces."""
    options = {"--model": "model.py:cnn", "--weights": "cnn.safetensors", "--test": "test.npz"}
    given = call.split()
    if "--model" in given:
        del options["--weights"]
    sound = [word for name, value in options.items() if name not in given for word in (name, value)]
    CASES.append(Case(about, what, ("run", "new", *sound, *given), prepare, code, foreign))


def write(name: str, content: str | bytes) -> Path:
    """Write a file with its folders."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def module(text: str) -> Prepare:
    """Write bad.py."""
    return lambda: write("bad.py", text)


def picture(name: str, size: tuple[int, int] = (8, 8), mode: str = "L") -> None:
    """Write an image file, of noise that no other name has."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(os.fsencode(name))).integers(0, 256, size[::-1], np.uint8)
    Image.fromarray(noise).convert(mode if mode != "I;16" else "I").convert(mode).save(name)


def archive(name: str = "bad.npz", count: int = 4, **arrays: object) -> None:
    """Write an archive of noise, with some arrays in place of its own."""
    noise = np.random.default_rng(0).integers(0, 256, (count, 8, 8), np.uint8)
    own = {"images": noise, "labels": np.arange(count) % 3}
    np.savez(name, **{key: value for key, value in {**own, **arrays}.items() if value is not None})


def manifest(text: str, *images: str) -> None:
    """Write bad.csv and the images that it names."""
    write("bad.csv", text)
    for name in images:
        picture(name)


def changed(change: Callable[[h5py.File], object]) -> Prepare:
    """Change the finished study's file."""

    def prepare() -> None:
        path = Path("study/study.h5")
        with h5py.File(path, "r+") as file:
            change(file)
        path.write_bytes(sealed(path.read_bytes()))

    return prepare


def opened(change: Callable[[h5py.File], object]) -> Prepare:
    """Change the finished study's file as another program does, which seals nothing."""

    def prepare() -> None:
        with h5py.File("study/study.h5", "r+") as file:
            change(file)

    return prepare


def flipped() -> None:
    """Open the finished study's file to write, then flip a bit among the scores."""
    path = Path("study/study.h5")
    with h5py.File(path, "r+") as file:
        at = file["splits/test/score"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
