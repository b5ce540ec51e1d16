"""A study's file read whole in a process of its own, object by object, so that a crash inside HDF5 harms nothing.

``python -m hudd.store.inspection PATH`` reads the bytes of a file from standard input (PATH only names it) and prints a
line of JSON before each object and one at the end: the fields of :class:`Inspection`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hudd.errors import HuddError, UsageError
from hudd.store.checksums import changed, checksums, read_checksums, walk
from hudd.store.contents import first_mismatch
from hudd.store.guard import check_contents
from hudd.store.schema import check_format

_SECONDS = 900
_MEMORY = 2 << 30  # bytes in addition to sixteen times the file's; a damaged length must not fill the machine


@dataclass(frozen=True)
class Inspection:
    """What reading every object of a file has shown.

    Attributes
    ----------
    fault : str
        Why the file cannot be used, naming the object; empty if it can.
    foreign : bool
        Whether that is because it is no study, or one of another version.
    checked : bool
        Whether the file has checksums to compare its values with.
    differing : tuple of str
        What is missing or not as hudd wrote it, by name.
    """

    fault: str = ""
    foreign: bool = False
    checked: bool = False
    differing: tuple[str, ...] = ()


def inspect(content: bytes, path: Path) -> Inspection:
    """Have the bytes of a study's file read whole by another process.

    Parameters
    ----------
    content : bytes
        Without seal.
    path : Path
        Where the file stands, for messages and for the place of its shards.
    """
    command = [sys.executable, "-m", "hudd.store.inspection", str(path.absolute())]
    source = Path(__file__).resolve().parents[2]
    search = os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH"))))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=_SECONDS, check=False,
            env={**os.environ, **threads, "PYTHONPATH": search},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return Inspection(f"reading {_last(error.stdout or b'')} does not end")
    told = _told(done.stdout)
    if told and "fault" in told[-1]:
        return Inspection(**{**told[-1], "differing": tuple(told[-1]["differing"])})
    end = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return Inspection(f"{_last(done.stdout)} crashes HDF5, {end}")


def _told(output: bytes) -> list[dict[str, Any]]:
    lines = output.decode("utf-8", "replace").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def _last(output: bytes) -> str:
    told = _told(output)
    return f"'{told[-1]['at']}'" if told else "its beginning"


def _inspected(content: bytes, path: Path) -> Inspection:
    at = ""
    try:
        with h5py.File.in_memory(content) as file:
            check_format(file, path)
            check_contents(file, path)
            recorded, found = read_checksums(file), {}
            for at, item in walk(file):
                print(json.dumps({"at": at}), flush=True)
                found[at] = checksums(item)
            if (wrong := first_mismatch(file)) is not None:
                return Inspection(f"'{wrong}' is of another kind than the format says")
            file.create_dataset(_TRIAL, data=np.arange(100))  # only now HDF5 reads what tracks free space
            file.flush()
            del file[_TRIAL]
    except UsageError as error:
        return Inspection(str(error), foreign=True)
    except HuddError as error:
        return Inspection(str(error).rstrip("."))
    except Exception as error:  # h5py and NumPy have a dozen kinds for damage between them
        line = next(iter(str(error).strip("'\"").splitlines()), type(error).__name__)
        return Inspection(f"'{at}' cannot be read: {line}" if at else f"it cannot be opened: {line}")
    if recorded is None:
        return Inspection()
    differing = [f"'{name}' (missing)" for name in recorded if name not in found]
    for name in sorted(set(recorded) & set(found)):
        differing += [f"'{name}' ({what})" for what in changed(recorded[name], found[name])]
    return Inspection(checked=True, differing=tuple(differing))


_TRIAL = ".trial"


def _main() -> None:
    content = sys.stdin.buffer.read()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + _MEMORY + 16 * len(content)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps(asdict(_inspected(content, Path(sys.argv[1])))), flush=True)


if __name__ == "__main__":
    _main()
