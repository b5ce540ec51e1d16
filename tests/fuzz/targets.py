"""What is fuzzed: every reader of files that people bring, and the checks of arguments.

A target's check takes the path of a spoiled file. It returns, or raises HuddError; targets that draw random calls take
the file's bytes as their seed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import mutations as m
import numpy as np
import pandas as pd
import tiny
import torch
from calls import array_call, core_call
from PIL import Image

import hudd.selection
from hudd.capture.weights import read_entries
from hudd.cli import call as run
from hudd.data import open_source
from hudd.errors import HuddError
from hudd.review.review import Review
from hudd.store import writer_lock
from hudd.study import Settings, Study
from hudd.study.labels import export_labels
from hudd.summary import TABLES

Mutation = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Target:
    """A reader, files that it reads, and how they are spoiled.

    Attributes
    ----------
    check : callable
        Takes the path of a spoiled file.
    name : str
        Of the spoiled file: what it is called decides how it is read.
    seeds : tuple of bytes
        Sound files.
    mutations : tuple of callable
        See :mod:`mutations`.
    allowed : tuple of type
        What may be raised.
    share : float
        Of the campaign's time, beside the other targets' 1.
    """

    check: Callable[[Path], Any]
    name: str
    seeds: tuple[bytes, ...]
    mutations: tuple[Mutation, ...] = m.BLIND
    allowed: tuple[type[Exception], ...] = (HuddError,)
    share: float = 1.0


def reseeded(data: bytes, rng: Random) -> bytes:
    """Draw another call."""
    return rng.randbytes(8)


def targets(folder: Path) -> dict[str, Target]:
    """Make every target; `folder` is for the sound files that they start from."""
    choices = tiny.material(folder)
    study = Study.create(folder / "study", **choices).run()
    Review(study).set(1, name="dusk", note="dark")
    names, paths = ["ant", "bee", "cat"], [f"{name}-{i}.png" for name in ("a", "b") for i in range(4)]
    images = _images(folder / "images")
    found = {
        "manifest-csv": Target(
            lambda path: _source(open_source(path)),
            "images/manifest.csv",
            _manifests(folder),
            (*m.TEXT, m.csv_rewritten),
        ),
        "manifest-parquet": Target(
            lambda path: _source(open_source(path, class_names=names)),
            "images/manifest.parquet",
            (_parquet(folder),),
            (*m.BLIND, m.parquet_rewritten),
        ),
        "archive": Target(
            lambda path: _source(open_source(path)),
            "data.npz",
            (Path(choices["test"]).read_bytes(), _compressed()),
            (*m.BLIND, m.archive_rewritten, m.archive_rewritten),
        ),
        "image": Target(lambda path: _image(path), "picture.png", images),
        "labels-csv": Target(
            lambda path: hudd.selection.import_labels(path, paths, names),
            "labels.csv",
            tuple(_labels(study, paths, folder / "out.csv")),
            (*m.TEXT, m.csv_rewritten),
        ),
        "labels-json": Target(
            lambda path: hudd.selection.import_labels(path, paths, names),
            "labels.json",
            tuple(_labels(study, paths, folder / "out.json")),
            (*m.TEXT, m.json_rewritten, m.json_rewritten),
        ),
        "settings": Target(
            lambda path: Settings.from_json(path.read_text("utf-8", "surrogateescape")),
            "settings.json",
            (study.settings.to_json().encode(),),
            (*m.TEXT, m.json_rewritten, m.json_rewritten, m.json_rewritten),
        ),
        "study": Target(
            lambda path: _study(path.parent),
            "spoiled/study.h5",
            ((study.path / "study.h5").read_bytes(),),
            (*m.BLIND, m.study_rewritten, m.study_rewritten, m.study_rewritten),
            share=4.0,
        ),
        "shard": Target(lambda path: _shard(path, study), "shard.h5", (_shard_of(study).read_bytes(),)),
        "review": Target(
            lambda path: _review(path, study),
            "review.jsonl",
            ((study.path / "review.jsonl").read_bytes(),),
            m.TEXT,
        ),
        "lock": Target(_lock, "spoiled/.lock", (_LOCK, b""), (*m.TEXT, m.json_rewritten)),
        "weights-safetensors": Target(
            read_entries,
            "weights.safetensors",
            (Path(choices["weights"]).read_bytes(),),
            (*m.BLIND, m.safetensors_rewritten),
        ),
        "weights-pth": Target(read_entries, "weights.pth", (_pth(),)),
        "command-line": Target(_command, "call", (b"0",), (reseeded,)),
        "arrays": Target(array_call, "call", (b"0",), (reseeded,)),
        "core": Target(core_call, "call", (b"0",), (reseeded,), (ValueError, TypeError)),
    }
    shutil.copytree(study.path, folder / "spoiled", dirs_exist_ok=True)
    return found


# -- sound files


def _images(folder: Path) -> tuple[bytes, ...]:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 255, (9, 7, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    whole = []
    for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "TGA"):
        for mode in ("RGB", "L") if kind in ("PNG", "TIFF") else ("RGB",):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).convert(mode).save(
                buffer, kind
            )
            whole.append(buffer.getvalue())
    return tuple(whole)


def _table() -> pd.DataFrame:
    rows = range(6)
    return pd.DataFrame(
        {
            "path": [f"{i}.png" for i in rows],
            "label": [("ant", "bee", "cat")[i % 3] for i in rows],
            "width": [i / 2 for i in rows],
            "weather": ["rain", "sun", "fog"] * 2,
            "count": [2**i for i in rows],
        }
    )


def _manifests(folder: Path) -> tuple[bytes, ...]:
    named, numbered = _table(), _table().assign(label=[0, 1, 2, 0, 1, -1], split="test")
    return tuple(frame.to_csv(index=False).encode() for frame in (named, numbered))


def _parquet(folder: Path) -> bytes:
    buffer = io.BytesIO()
    _table().to_parquet(buffer)
    return buffer.getvalue()


def _compressed() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=np.zeros((5, 4, 4, 3), np.uint8), labels=np.arange(5) % 3)
    return buffer.getvalue()


def _pth() -> bytes:
    buffer = io.BytesIO()
    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict(), buffer)
    return buffer.getvalue()


def _labels(study: Study, paths: list[str], file: Path) -> list[bytes]:
    export_labels(study, file, overwrite=True)
    export = hudd.selection.export_csv if file.suffix == ".csv" else hudd.selection.export_label_studio
    export(file, paths, {"cluster": range(len(paths))}, labels=["ant", "bee", "cat", ""] * 2)
    return [file.read_bytes()]


def _shard_of(study: Study) -> Path:
    return next((study.path / "shards" / "heatmaps").rglob("*.h5"))


_LOCK = json.dumps({"pid": 7, "host": "elsewhere", "since": 1.5}).encode()


# -- checks


def _source(source: Any) -> None:
    source.fingerprint()
    source.check()
    images = source.load(range(min(4, len(source))))
    assert len(images) == min(4, len(source))


def _image(path: Path) -> None:
    manifest = path.with_name("one.csv")
    manifest.write_text(f"path\n{path.name}\n")
    source = open_source(manifest)
    source.check()
    pixels = source.pixels(0)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3


def _study(path: Path) -> None:
    study = Study.open(path)
    study.summary(), study.hints(), study.provenance, study.marks()
    for name, (_, needs) in TABLES.items():
        if study.has(needs):
            study.table(name)
    for layer in study.layers:
        study.heatmaps_of(layer)[:3], study.distances_of(layer), study.clustering_of(layer)
    if study.has("selection"):
        study.nearest_members(study.selection.image, study.selection.cluster)
    _call(
        [
            "show",
            str(path),
            *Random((path / "study.h5").stat().st_size).choice(([], ["--json"], ["--provenance"])),
        ]
    )


def _shard(path: Path, study: Study) -> None:
    shard = _shard_of(study)
    sound = shard.read_bytes()
    shutil.copyfile(path, shard)
    try:
        for layer in study.layers:
            assert study.heatmaps_of(layer)[...].shape[0] == len(study.errors)
    finally:
        shard.write_bytes(sound)


def _review(path: Path, study: Study) -> None:
    shutil.copyfile(path, study.path / "review.jsonl")
    review = Review(study)
    [review.of(number) for number in review.groups.medoid]


def _lock(path: Path) -> None:
    with writer_lock(path):
        pass


_ARGUMENTS = (
    "run", "show", "test", "label", "export", "report", "cluster", "select", "retrain", "new", "--model", "a:b",
    "--test", "x", "--weights", "--resize", "0x0", "5x-3", "--scale", "nan", "--mean", "1,,2", "--std", "0", "--rules",
    "*=x", "=", "--layers", "", ",", "--factor", "--budget", "0", "-1", "1e9", "9" * 40, "--seed", "--angles", "a=b",
    "--units", "a", "--json", "--help", "--export", "--import", "--format", "csv", "--debug", "[/]", "\x1b[2J", "ä",
    "a\nb", "../..", "/dev/null", "/proc/self/mem", "%s", "{x}", "--port", "-h", "--", "-", "--layer", "--preset",
)  # fmt: skip


def _command(path: Path) -> None:
    rng = Random(path.read_bytes())
    _call([rng.choice(_ARGUMENTS) for _ in range(rng.randrange(8))])


def _call(arguments: list[str]) -> None:
    """Call the command line: a known exit code, and one printable line where it fails."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([a for a in arguments if a != "--debug"])
    said = err.getvalue()
    assert code in (0, 1, 2), (arguments, code)
    assert "Traceback" not in said, (arguments, said)
    assert not code or (said.startswith("hudd: ") and said.count("\n") == 1), (arguments, said)
    assert not code or said.rstrip("\n").isprintable(), (arguments, said)
    assert "(--debug shows where)" not in said, (arguments, said)


os.environ["NO_COLOR"] = "1"
