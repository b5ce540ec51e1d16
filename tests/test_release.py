"""What a release holds to: one version everywhere, wheels with nothing but hudd in them, no name that is another's."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parent.parent
version: dict[str, Any] = runpy.run_path(str(ROOT / "release" / "version.py"))
wheels: dict[str, Any] = runpy.run_path(str(ROOT / "release" / "wheels.py"))
NAMED_IN = ("pyproject.toml", "CITATION.cff", "CHANGELOG.md", "release/conda-recipe/recipe.yaml")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that name the version."""
    for name in NAMED_IN:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def test_all_files_name_one_version() -> None:
    assert list(version["complaints"](ROOT)) == []


@pytest.mark.parametrize("name", NAMED_IN[1:])
def test_another_version_is_seen(tree: Path, name: str) -> None:
    text = (tree / name).read_text()
    current = re.search(r'^version = "(.*)"$', (tree / "pyproject.toml").read_text(), re.MULTILINE)
    assert current
    (tree / name).write_text(text.replace(current[1], "9.8.7", 1))
    (told,) = version["complaints"](tree)
    assert told.startswith(f"{name} names version 9.8.7")


@pytest.mark.parametrize(
    ("tag", "unreleased", "part"),
    [("v9.8.7", False, "the tag is v9.8.7"), ("v0.1.0", True, "still says"), ("v0.1.0", False, None)],
)
def test_a_tag_needs_its_version(tree: Path, tag: str, unreleased: bool, part: str | None) -> None:
    for name in NAMED_IN:
        text = (tree / name).read_text()
        text = re.sub(
            r"^(version(?: =|:)) .*$", r'\1 "0.1.0"' if "toml" in name else r"\1 0.1.0", text, flags=re.M
        )
        text = re.sub(r"^  version: .*$", '  version: "0.1.0"', text, flags=re.M)
        heading = "## 0.1.0 (unreleased)" if unreleased else "## 0.1.0 (2030-01-01)"
        (tree / name).write_text(re.sub(r"^## \d.*$", heading, text, count=1, flags=re.M))
    told = list(version["complaints"](tree, tag))
    assert (part is None and told == []) or (part is not None and len(told) == 1 and part in told[0])


def _wheel(path: Path, *names: str) -> Path:
    with ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, "")
    return path


WHOLE = (
    "hudd/_core.cpython-311-x86_64-linux-gnu.so",
    "hudd/py.typed",
    "hudd/_core.pyi",
    "hudd/report/templates/report.html",
)


def test_a_wheel_brings_no_library_along(tmp_path: Path) -> None:
    check, failed = wheels["check_contents"], wheels["Failed"]
    check(_wheel(tmp_path / "whole.whl", *WHOLE))
    with pytest.raises(failed, match="libgomp"):
        check(_wheel(tmp_path / "grafted.whl", *WHOLE, "hudd.libs/libgomp-a34b3233.so.1.0.0"))
    with pytest.raises(failed, match="libraries"):
        check(_wheel(tmp_path / "pure.whl", *WHOLE[1:]))
    with pytest.raises(failed, match=r"lacks hudd/py\.typed"):
        check(_wheel(tmp_path / "untyped.whl", WHOLE[0], *WHOLE[2:]))


def test_wheels_are_tried_where_no_compiler_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CC", "CMAKE_GENERATOR", "PYTHONPATH", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "/elsewhere")
    env = wheels["bare"](tmp_path)
    assert env["PATH"] == str(tmp_path / "bin")
    assert not {"CC", "CMAKE_GENERATOR", "PYTHONPATH", "LD_LIBRARY_PATH"} & set(env)


def test_only_supported_pythons_are_taken(tmp_path: Path) -> None:
    find, supported = wheels["find_pythons"], wheels["supported"]()
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in supported
    for answer in ("3.8", "exit 1"):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{answer if 'exit' in answer else f'echo {answer}'}\n")
        python.chmod(0o755)
        with pytest.raises(wheels["Failed"], match="cannot build a wheel"):
            find([str(python)])


def test_nothing_tells_to_install_another_package_of_that_name() -> None:
    """The package index has another project called hudd."""
    ours = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
        *(ROOT / "hudd").rglob("*.py"),
    ]
    telling = re.compile(r"pip3? install (?:-\S+ )*['\"]?hudd\b")
    assert [str(path) for path in ours if telling.search(path.read_text(encoding="utf-8"))] == []


def test_the_recipe_renders_and_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    recipe = runpy.run_path(str(ROOT / "release" / "check_recipe.py"))
    project = wheels["tomllib"].loads((ROOT / "pyproject.toml").read_text())["project"]
    assert list(recipe["complaints"](project)) == []
    (told,) = recipe["complaints"](project | {"dependencies": [*project["dependencies"], "requests>=2"]})
    assert "requests" in told
