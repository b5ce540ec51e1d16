"""Caches find a folder, or are done without."""

import os
import stat
from pathlib import Path

import pytest

from hudd import caches
from hudd.diagnosis import diagnose
from hudd.errors import HuddError


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home, a folder for temporary files, and nothing set; files cannot be made where `sealed` says."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir(mode=0o755)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(caches, "_TEMPORARY", (str(tmp_path / "tmp"),))
    sealed, writable = [], caches._writable
    monkeypatch.setattr(
        caches,
        "_writable",
        lambda folder: (
            not any(folder.is_relative_to(tmp_path / name) for name in sealed) and writable(folder)
        ),
    )
    forget()
    yield tmp_path, sealed
    forget()


def forget():
    caches.prepare.cache_clear()
    caches.kernel_cache.cache_clear()


def test_a_home_that_can_be_written_changes_nothing(place):
    root, _ = place
    assert caches.prepare() == root / "home" / ".cache"
    assert not {"XDG_CACHE_HOME", "MPLCONFIGDIR"} & set(os.environ)


@pytest.mark.parametrize("home", ["sealed", "unset", "relative"])
def test_without_a_home_it_is_a_private_temporary_folder(place, monkeypatch, home):
    root, sealed = place
    sealed.append("home")
    if home == "unset":
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    elif home != "sealed":
        monkeypatch.setenv("HOME", home)
    folder = caches.prepare()
    assert folder == root / "tmp" / f"hudd-{os.geteuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert os.environ["XDG_CACHE_HOME"] == str(folder)
    assert Path(os.environ["MPLCONFIGDIR"]).is_relative_to(folder)


def test_what_the_user_has_set_is_used(place, monkeypatch):
    root, _ = place
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "mine"))
    assert caches.prepare() == root / "mine"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(root / "numba"))
    assert caches.kernel_cache(root / "package") == root / "numba"


@pytest.mark.parametrize("how", ["link", "open to all", "another's", "parent not sticky"])
def test_a_folder_that_others_could_fill_is_not_used(place, monkeypatch, how):
    root, sealed = place
    sealed.append("home")
    folder = root / "tmp" / f"hudd-{os.geteuid()}"
    if how == "link":
        (root / "else").mkdir()
        folder.symlink_to(root / "else")
    elif how == "parent not sticky":
        (root / "tmp").chmod(0o777)
    else:
        folder.mkdir()
        folder.chmod(0o777 if how == "open to all" else 0o755)
    if how == "another's":
        monkeypatch.setattr(os, "geteuid", lambda: int(folder.name.split("-")[1]) + 1)
        folder.rename(root / "tmp" / f"hudd-{os.geteuid()}")
    assert caches.prepare() is None
    assert "XDG_CACHE_HOME" not in os.environ


def test_with_no_folder_kernels_are_compiled_without_a_cache(place, monkeypatch):
    monkeypatch.setattr(caches, "_writable", lambda folder: False)
    assert caches.prepare() is None
    double = caches.compiled(nogil=True)(lambda x: 2 * x)
    assert double(3) == 6
    assert not double.stats.cache_path
    with pytest.raises(HuddError, match=r"'umap' needs a folder .* set XDG_CACHE_HOME"):
        caches.require_kernel_cache("hudd", "reduction 'umap'")


def test_doctor_says_where_caches_are(place, monkeypatch):
    assert diagnose()["caches"]["other caches"] == str(place[0] / "home" / ".cache")
    forget()
    monkeypatch.setattr(caches, "_writable", lambda folder: False)
    found = diagnose()
    assert found["caches"] == {"compiled kernels": None, "other caches": None}
    assert any("compiles its kernels again: set XDG_CACHE_HOME" in remedy for remedy in found["remedies"])
