"""Parts by name: listing imports nothing, errors name the package, marks tell versions apart."""

import sys
import textwrap
from pathlib import Path

import pytest

from hudd.errors import HuddError, UsageError
from hudd.parts import CASES, CLUSTERERS, EXPORTERS, FEATURES, RULES, STRATEGIES
from hudd.registry import Registry


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install packages of one module into a folder of their own, as pip leaves them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = set(sys.modules)

    def install(package: str, source: str, entries: dict[str, str], version: str = "1.0") -> Path:
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[hudd.clusterers]", *lines]) + "\n")
        monkeypatch.setattr(
            "sys.path", [*sys.path, f"/{package}"]
        )  # what is installed is looked up once a path
        return tmp_path / f"{module}.py"

    yield install
    for name in set(sys.modules) - modules:
        del sys.modules[name]


GOOD = """
class Halves:
    def fit_predict(self, rows):
        return [0] * (len(rows) // 2) + [1] * (len(rows) - len(rows) // 2)
"""


def test_own_names_come_first_and_nothing_is_imported(installed):
    installed("other-clusters", "raise SystemExit('imported')", {"aaa": "other_clusters:Halves"})
    assert CLUSTERERS.names() == ("ward", "average", "kmeans", "dbscan", "hdbscan", "aaa")
    assert "other_clusters" not in sys.modules
    CLUSTERERS.check("aaa")


@pytest.mark.parametrize(
    "registry", [RULES, FEATURES, CLUSTERERS, STRATEGIES, EXPORTERS, CASES], ids=lambda each: each.group
)
def test_every_part_of_hudd_is_where_its_name_says(registry):
    assert all(registry.find(name) is not None for name in registry.own)


@pytest.mark.parametrize(
    ("source", "entry", "reason"),
    [
        ("import not_there", "broken:Halves", "ModuleNotFoundError: No module named 'not_there'"),
        ("x = 1 / 0", "broken:Halves", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "broken:Halves", "SystemExit: 3"),
        (GOOD, "broken:Quarters", "AttributeError"),
        (GOOD, "elsewhere:Halves", "ModuleNotFoundError: No module named 'elsewhere'"),
        ("def f(:", "broken:f", "SyntaxError"),
    ],
)
def test_a_broken_package_is_named_in_one_sentence(installed, source, entry, reason):
    installed("broken", source, {"mine": entry})
    with pytest.raises(
        UsageError, match=rf"clusterer 'mine' of the package broken 1\.0 cannot be imported: {reason}"
    ):
        CLUSTERERS.find("mine")
    assert CLUSTERERS.find("ward")  # nobody else suffers


def test_a_name_that_two_packages_register_is_refused(installed):
    installed("first", GOOD, {"mine": "first:Halves", "ward": "first:Halves"})
    installed("second", GOOD, {"mine": "second:Halves"})
    with pytest.raises(UsageError, match=r"'mine' is registered by first 1\.0 and second 1\.0; uninstall"):
        CLUSTERERS.find("mine")
    with pytest.raises(UsageError, match=r"'ward' is registered by hudd and first 1\.0"):
        CLUSTERERS.find("ward")
    assert CLUSTERERS.find("first:Halves")


@pytest.mark.parametrize("name", ["wards", "", "Ward", "ward ", "a:b:", ":x", "module:", "module:two words"])
def test_an_unknown_name_lists_what_is_there(installed, name):
    installed("other-clusters", GOOD, {"mine": "other_clusters:Halves"})
    with pytest.raises(UsageError, match=r"choose one of: ward, .*, mine; or give package\.module:factory"):
        CLUSTERERS.find(name)


def test_a_spec_names_what_is_missing(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no module 'nowhere'"):
        CLUSTERERS.find("nowhere:Halves")
    file = installed("mine", GOOD, {})
    assert CLUSTERERS.find(f"{file}:Halves") is CLUSTERERS.find(f"{file}:Halves")
    with pytest.raises(UsageError, match="no function 'Thirds'"):
        CLUSTERERS.find(f"{file}:Thirds")


def test_a_changed_version_or_source_has_another_mark(installed):
    assert CLUSTERERS.mark("ward") is None
    file = installed("other-clusters", GOOD, {"mine": "other_clusters:Halves"})
    before = CLUSTERERS.mark("mine")
    assert before.startswith("other-clusters 1.0 ")
    assert CLUSTERERS.mark("other_clusters:Halves") is not None
    assert CLUSTERERS.mark("mine") == before
    file.write_text(GOOD + "# changed\n")
    assert CLUSTERERS.mark("mine") != before
    file.write_text(GOOD)
    assert CLUSTERERS.mark("mine") == before
    assert CLUSTERERS.mark("sklearn.cluster:OPTICS").startswith("scikit-learn ")


def test_a_part_takes_what_it_names_and_its_faults_are_its_own(installed):
    registry = Registry("hudd.clusterers", "clusterer", {})
    installed(
        "parts",
        """
        class Takes:
            def __init__(self, seed, other=0): self.seed, self.other = seed, other
        def wants_more(seed, path): pass
        """,
        {"takes": "parts:Takes", "more": "parts:wants_more"},
    )
    assert vars(registry.make("takes", seed=3, other=4, third=5)) == {"seed": 3, "other": 4}
    with pytest.raises(UsageError, match=r"'more' of the package parts 1\.0 cannot be made: TypeError"):
        registry.make("more", seed=3)
    with (
        pytest.raises(HuddError, match=r"'takes' of the package parts 1\.0 failed: KeyError: 'x'"),
        registry.attributing_errors("takes"),
    ):
        raise KeyError("x")
