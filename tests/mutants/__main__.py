"""Mutation score of the modules in ``modules.toml``: ``python tests/mutants [MODULE ...]``; see there for the settings.

Each mutant changes one place by one of cosmic-ray's operators, in a copy of the tree, and is tested by the tests of its
module in a process forked once the libraries are imported. What is not evaluated (annotations) is not changed.
``record.json`` keeps the outcome of each module that was run.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import traceback
from importlib.metadata import version
from pathlib import Path

import cosmic_ray.plugins
import h5py  # noqa: F401 (these libraries are imported once, before the first fork)
import numba
import pandas
import pytest
import scipy.stats
import sklearn.cluster
import torch
from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import mutate_code

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
IMPORTED = (numba, pandas, scipy.stats, sklearn.cluster, torch)
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0")
WAIT = 20  # times the limit of processor time, for tests that wait for what never comes


def evaluated(code: str) -> str | None:
    """What Python evaluates of a module, its annotations being text; None where it is no Python."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # the star before keyword-only arguments is taken for an operator
        return None
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                setattr(node, field, ast.Constant(0))
    return ast.dump(tree)


def change(before: str, after: str) -> tuple[str, str]:
    """The lines that differ, without their indentation."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return "\n".join(map(str.strip, old)).strip(), "\n".join(map(str.strip, new)).strip()


def sample(sources: list[str], count: int, seed: int) -> list[tuple[str, str]]:
    """Draw places, and at each of them one change: the source and its mutated text."""
    places: dict[tuple[str, tuple[int, int]], list[tuple[str, int]]] = {}
    for item in _all_work_items(find_modules(map(Path, sources)), {}):
        one = item.mutations[0]
        places.setdefault((str(one.module_path), one.start_pos), []).append(
            (one.operator_name, one.occurrence)
        )
    rng, drawn = random.Random(seed), []
    for source, position in rng.sample(sorted(places), len(places)):
        operator, occurrence = rng.choice(sorted(places[source, position]))
        original = Path(source).read_text()
        mutated = mutate_code(original, cosmic_ray.plugins.get_operator(operator)(), occurrence)
        if evaluated(mutated) not in (None, evaluated(original)):
            drawn.append((source, mutated))
        if len(drawn) == count:
            break
    return drawn


def passes(tests: list[str], seconds: int, *, keep_bytecode: bool = False) -> bool:
    """Whether the tests pass, in a child that may take so many seconds of the processor."""
    shutil.rmtree(".hypothesis", ignore_errors=True)  # what found another mutant
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.dont_write_bytecode = not keep_bytecode
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            signal.alarm(WAIT * seconds)
            output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            code = pytest.main([*OPTIONS, *tests])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def score(module: dict, settings: dict, tested_again: list[dict] | None) -> dict:
    """Test the mutants of one module, or those of `tested_again` alone; what is recorded of it."""
    found = (Path(place).rglob("test_*.py") if Path(place).is_dir() else [place] for place in module["tests"])
    tests, limit = [str(path) for paths in found for path in paths], settings["seconds"]
    if not passes(tests, limit, keep_bytecode=True):
        sys.exit(f"the tests fail without any change:\n{Path('output').read_text()}")
    for source in find_modules(map(Path, module["sources"])):
        for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
            compiled.unlink()  # judged by time and size, it could stand in for the mutant
    known = {(one["source"], one["before"], one["after"]): one["reason"] for one in settings["equivalent"]}
    survived, equivalent = [], []
    drawn = sample(module["sources"], module.get("mutants", settings["mutants"]), settings["seed"])
    for number, (source, mutated) in enumerate(drawn, 1):
        original = Path(source).read_text()
        before, after = change(original, mutated)
        entry = {"source": source, "before": before, "after": after}
        if reason := known.get((source, before, after)):
            equivalent.append({**entry, "reason": reason})
        elif tested_again is None or entry in tested_again:
            Path(source).write_text(mutated)
            stem = Path(source).stem  # of a package's tests, those of the file come first
            if passes(sorted(tests, key=lambda path: stem not in path), limit):
                survived.append(entry)
                print(f"{number}/{len(drawn)} survived: {source}\n- {before}\n+ {after}", flush=True)
            Path(source).write_text(original)
    tested = len(drawn) - len(equivalent)
    killed = tested - len(survived)
    found = {"mutants": len(drawn), "killed": killed, "score": round(killed / tested, 3)}
    return {**found, "survived": survived, "equivalent": equivalent}


def copy_tree(folder: Path) -> None:
    """Copy what git knows, and the compiled core."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in [*listed, *(str(core.relative_to(ROOT)) for core in ROOT.glob("hudd/_core*.so"))]:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def main() -> None:
    """Score the modules that are asked for, and write the record."""
    settings = tomllib.loads((HERE / "modules.toml").read_text())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(settings['modules'])}; all by default")
    parser.add_argument("--survivors", action="store_true", help="test only what survived in the record")
    parser.add_argument("--seed", type=int, help="draw another sample, which is not recorded")
    given = parser.parse_args()
    if given.seed is not None:
        settings["seed"] = given.seed
    record_file, low = HERE / "record.json", []
    os.environ.setdefault("HUDD_SHARED", str(ROOT.parent / "shared"))
    versions = {package: version(package) for package in ("cosmic-ray", "pytest", "hypothesis")}
    made = {"date": datetime.date.today().isoformat(), "python": platform.python_version(), **versions}
    with tempfile.TemporaryDirectory(prefix="hudd-mutants-") as folder:
        copy_tree(Path(folder))
        os.chdir(folder)
        sys.path.insert(0, folder)
        os.environ["PYTHONPATH"] = folder
        for name in given.modules or settings["modules"]:
            module = settings["modules"][name]
            again = json.loads(record_file.read_text())[name]["survived"] if given.survivors else None
            found = score(module, settings, again)
            print(
                f"{name}: {found['killed']} of {found['mutants']} killed, score {found['score']}", flush=True
            )
            if found["score"] < settings["least"]:
                low.append(name)
            if given.seed is None:
                record = json.loads(record_file.read_text()) if record_file.exists() else {}
                record[name] = {**made, "seed": settings["seed"], **module, **found}
                record_file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        os.chdir(ROOT)
    if low:
        sys.exit(f"below {settings['least']}: {', '.join(low)}")


main()
