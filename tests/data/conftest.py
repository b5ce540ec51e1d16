import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def gtsrb():
    """The real traffic signs, where they are at hand."""
    shared = Path(os.environ.get("HUDD_SHARED", Path(__file__).resolve().parents[2] / ".." / "shared"))
    folder = shared / "data" / "gtsrb"
    if not folder.is_dir():
        pytest.skip(f"no traffic signs at {folder}")
    return folder


@pytest.fixture
def draw():
    """Write one random RGB picture to a file, made with its folders."""

    def draw(file, seed=0, size=(6, 5), mode="RGB"):
        file.parent.mkdir(parents=True, exist_ok=True)
        shape = size if mode == "L" else (*size, len(mode))
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(file)
        return pixels

    return draw


@pytest.fixture
def tree(tmp_path, draw):
    """Six images of the classes cat and dog, with deeper folders and sidecars."""
    root = tmp_path / "pets"
    for seed, name in enumerate(
        ("dog/2.png", "dog/10.png", "cat/a.png", "cat/deep/b.png", "cat/c.PNG", "dog/0.png")
    ):
        draw(root / name, seed)
    for name in (
        "notes.txt",
        "cat/annotations.csv",
        "dog/Thumbs.db",
        "dog/.DS_Store",
        "README.md",
        ".cache/x.bin",
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"beside")
    return root
