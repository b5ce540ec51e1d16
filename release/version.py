"""Hold the places that name hudd's version against pyproject.toml, and a release's tag against them all.

The version stands in pyproject.toml and is not taken from git: a study says which version made it, and a version that
changed with every commit would mark each study as made by another one.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_ELSEWHERE = {
    "CITATION.cff": r"^version: (\S+)$",
    "release/conda-recipe/recipe.yaml": r"^  version: \"(\S+)\"$",
    "CHANGELOG.md": r"^## (\S+)",
}


def complaints(root: Path, tag: str | None = None) -> Iterator[str]:
    """Yield what differs from the version in pyproject.toml, a line each.

    Parameters
    ----------
    root : Path
        The source tree.
    tag : str, optional
        The release's tag, "v1.2.3"; then the changelog must no longer say "unreleased".
    """
    with (root / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    for name, pattern in _ELSEWHERE.items():
        text = (root / name).read_text(encoding="utf-8")
        found = re.search(pattern, text, re.MULTILINE)
        if found is None or found[1] != version:
            yield f"{name} names version {found[1] if found else 'none'}, and pyproject.toml {version}"
        if (
            tag
            and name == "CHANGELOG.md"
            and found
            and "unreleased" in text[found.start() :].partition("\n")[0]
        ):
            yield f"{name} still says that {version} is unreleased"
    if tag and tag != f"v{version}":
        yield f"the tag is {tag}, and the version in pyproject.toml {version}: it needs the tag v{version}"


def main() -> int:
    """Print the complaints; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tag", help="the tag of a release")
    found = list(complaints(ROOT, parser.parse_args().tag))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
