"""What other programs do to a study's file, by name; each takes the file, a study's copy of it, and a Random."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import h5py
import numpy as np

_OPEN = """
import signal, sys, h5py
file = h5py.File(sys.argv[1], "r+", **eval(sys.argv[2]))
exec(sys.argv[3])
print("open", flush=True)
signal.pause()
"""


def _opened(mode, **options):
    def corrupt(path: Path, rng: Random) -> None:
        with h5py.File(path, mode, **options) as file:
            len(file["error"])

    return corrupt


def _changed(change):
    """Apply a change to a random object of the file."""

    def corrupt(path: Path, rng: Random) -> None:
        with h5py.File(path, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            change(file, file[rng.choice(names)], rng)

    return corrupt


def _killed(code="", **options):
    """Open the file in another process and kill it there."""

    def corrupt(path: Path, rng: Random) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", _OPEN, path, repr(options), code], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

    return corrupt


def _run(*command):
    """A command line tool of HDF5's; "FILE" and "OUT" are the file before and after."""

    def corrupt(path: Path, rng: Random) -> None:
        out = path.with_name("out.h5")
        named = {"FILE": str(path), "OUT": str(out)}
        subprocess.run([named.get(p, p) for p in command], check=True, capture_output=True)
        if out.exists():
            out.replace(path)

    corrupt.tool = command[0]
    return corrupt


def _touch_values(file, item, rng):
    """Write the same values again, as an editor's "save" does."""
    for name in ("error", "clusters/label", "splits/test/score"):
        file[name][...] = file[name][...]


def _append(file, item, rng):
    group = file.require_group("notes")
    group.create_dataset("mine", data=np.arange(rng.randrange(1, 5000)), compression="gzip", chunks=True)
    group["words"] = ["ä", "b"] * rng.randrange(1, 50)


def _bytes(change):
    """Open to write, close, then change bytes of what is left."""

    def corrupt(path: Path, rng: Random) -> None:
        if rng.random() < 0.7:
            _opened("r+")(path, rng)
        path.write_bytes(change(bytearray(path.read_bytes()), rng))

    return corrupt


def _flipped(content: bytearray, rng: Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 8))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _overwritten(content: bytearray, rng: Random) -> bytes:
    at, size = rng.randrange(len(content)), rng.choice((4, 64, 512))
    content[at : at + size] = rng.randbytes(len(content[at : at + size]))
    return bytes(content)


def _restored_by_copy(path: Path, rng: Random) -> None:
    """Copy all objects into a file of another making, with or without a user block."""
    out = path.with_name("out.h5")
    options = rng.choice(({}, {"libver": "latest"}, {"userblock_size": 1024}))
    with h5py.File(path) as source, h5py.File(out, "w", **options) as target:
        for name in source:
            source.copy(name, target)
        for name, value in source.attrs.items():
            target.attrs[name] = value
    out.replace(path)


SPOILERS = {
    "opened r+": _opened("r+"),
    "opened a": _opened("a"),
    "opened with the latest format": _opened("r+", libver="latest"),
    "opened without locks": _opened("r+", locking=False),
    "the same values written": _changed(_touch_values),
    "attribute added": _changed(lambda file, item, rng: item.attrs.update(note=rng.choice(("ä", 3, [1.5])))),
    "attribute of the root added": _changed(lambda file, item, rng: file.attrs.update(note="mine")),
    "data appended": _changed(_append),
    "group added and removed": _changed(lambda file, item, rng: (_append(file, item, rng), file.__delitem__("notes"))),
    "killed while open": _killed(),
    "killed after a flush": _killed("file.flush()"),
    "killed in SWMR mode": _killed("file.swmr_mode = True", libver="latest"),
    "repacked": _run("h5repack", "FILE", "OUT"),
    "repacked with the shards in it": _run("h5repack", "-f", "GZIP=5", "FILE", "OUT"),
    "given a user block": _run("h5jam", "-u", __file__, "-i", "FILE", "-o", "OUT"),
    "copied object by object": _restored_by_copy,
    "value changed": _changed(lambda file, item, rng: file["error"].__setitem__(0, 7)),
    "attribute changed": _changed(lambda file, item, rng: file.attrs.update(seed=99)),
    "object removed": _changed(lambda file, item, rng: file.__delitem__(rng.choice(("error", "layers", "steps")))),
    "bits flipped": _bytes(_flipped),
    "bytes overwritten": _bytes(_overwritten),
    "cut off": _bytes(lambda content, rng: bytes(content[: rng.randrange(len(content))])),
    "zeros at the end": _bytes(lambda content, rng: bytes(content) + bytes(rng.randrange(1, 5000))),
}  # fmt: skip


def available() -> dict:
    """Those whose tools are here."""
    return {
        name: corrupt
        for name, corrupt in SPOILERS.items()
        if not hasattr(corrupt, "tool") or shutil.which(corrupt.tool)
    }


def corrupt(name: str, path: Path, rng: Random) -> None:
    """Do it, and leave no file beside."""
    SPOILERS[name](path, rng)
    for extra in set(path.parent.iterdir()) - {path}:
        if extra.suffix == ".h5":
            extra.unlink()
