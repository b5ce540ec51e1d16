"""Lint the conda recipe: that it renders on every platform, and says the same as pyproject.toml.

The recipe's errors are those of rattler-build, which reads it as building would. What conda-forge's own linter asks for
besides (licence files, tests, a summary, a home page) is checked here.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rattler_build import RattlerBuildError, RenderConfig, Stage0Recipe, VariantConfig
from rattler_build.tool_config import PlatformConfig

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "release" / "conda-recipe" / "recipe.yaml"
PLATFORMS = ("linux-64", "linux-aarch64", "osx-arm64")
CALLED = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "xxhash": "python-xxhash",
}  # names in conda-forge
_VARIANTS = """
python: ["3.11.* *_cpython", "3.12.* *_cpython", "3.13.* *_cp313"]
c_stdlib: [sysroot]
c_stdlib_version: ["2.28"]
"""


def requirement(text: str) -> tuple[str, str]:
    """Split a requirement of pip or conda into name and range."""
    name, bounds = re.fullmatch(r"([\w.-]+)\s*(.*)", text).groups()  # type: ignore[union-attr]
    return name, bounds.replace(" ", "")


def complaints(project: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong, a line each."""
    try:
        recipe = Stage0Recipe.from_yaml(RECIPE.read_text(encoding="utf-8"), recipe_dir=RECIPE.parent)
        variants = VariantConfig.from_yaml(_VARIANTS)
        for platform in PLATFORMS:
            rendered = recipe.render(variants, RenderConfig(PlatformConfig(target_platform=platform)))
            if len(rendered) != 3:
                yield f"on {platform} it makes {len(rendered)} packages, not one for each of 3 releases of Python"
    except RattlerBuildError as error:
        yield str(error)
        return
    stated = rendered[0].recipe.to_dict()
    if stated["package"]["version"] != project["version"]:
        yield f"its version is {stated['package']['version']}, and that of pyproject.toml {project['version']}"
    listed = {text for text in stated["requirements"]["run"] if isinstance(text, str)}
    needed = {f"python {project['requires-python']}"}
    for text in project["dependencies"]:
        name, bounds = requirement(text)
        needed.add(f"{CALLED.get(name, name)} {bounds}")
    if different := {requirement(text) for text in needed} ^ {requirement(text) for text in listed}:
        yield f"its run requirements and pyproject.toml's differ in {sorted(different)}"
    about = stated["about"]
    for name in ("license", "license_file", "summary", "homepage", "description"):
        if not about.get(name):
            yield f"about.{name} is missing"
    if about.get("license") != project["license"]:
        yield f"about.license is {about.get('license')}, and pyproject.toml's {project['license']}"
    for file in about.get("license_file") or ():
        if not (ROOT / file).is_file():
            yield f"about.license_file names {file}, which does not exist"
    if not stated.get("tests"):
        yield "it has no tests"


def main() -> int:
    """Print the complaints; return the exit code."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found = list(complaints(tomllib.load(file)["project"]))
    for line in found:
        print(f"{RECIPE.relative_to(ROOT)}: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
