"""Where hudd runs is not always a home of one's own: containers, service accounts, groups, limits."""

import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import hudd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UID, OTHER, GROUP = 54321, 54322, 54323  # nobody has these numbers
COMMANDS = """
import sys
from hudd.cli import call
study, *rest = sys.argv[1:]
for command in (["run", study, *rest], ["show", study], ["report", study], ["export", study], ["doctor"]):
    code = call(command)
    if code:
        sys.exit(f"{command} ended with {code}")
"""


@pytest.fixture
def open_place():
    """A folder that everybody can reach, unlike those of the tests."""
    with tempfile.TemporaryDirectory(prefix="hudd-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def choices(open_place):
    """Options of `hudd run` that name a tiny model and its data, readable by everybody."""
    (open_place / "data").mkdir()
    material = runpy.run_path(str(ROOT / "tests" / "fuzz" / "tiny.py"))["material"](open_place / "data")
    names = ("model", "weights", "test", "train", "improvement")
    return [part for name in names for part in (f"--{name}", material[name])] + ["--epochs", "1"]


@pytest.fixture
def installation(open_place):
    """A copy of the package that nobody may write to."""
    ignored = shutil.ignore_patterns("__pycache__")
    copy = shutil.copytree(Path(hudd.__file__).parent, open_place / "installation" / "hudd", ignore=ignored)
    everything = [copy, *copy.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield copy.parent
    for path in everything:
        path.chmod(0o755)


def as_somebody(uid, command, *, group=None, umask=0o022, **environment):
    """Run a command as a user who owns nothing. He may read this machine's Python, wherever it is; where this is not
    run by root, it is run as who we are."""
    given = {
        "PATH": os.environ["PATH"],
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("dropping root's rights needs setpriv")
        reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        groups = ["--regid", str(group or uid), "--clear-groups"]
        command = [setpriv, "--reuid", str(uid), *groups, *reading, *command]
    return subprocess.run(
        command, env=given, capture_output=True, text=True, umask=umask, cwd="/", check=False
    )


@pytest.mark.slow
def test_no_home_and_a_read_only_installation(installation, choices, open_place):
    place, temporary = open_place / "place", open_place / "place" / "tmp"
    place.mkdir()
    place.chmod(0o777)
    temporary.mkdir()
    temporary.chmod(0o1777)
    script = [sys.executable, "-c", COMMANDS, str(place / "study"), *choices]
    done = as_somebody(UID, script, PYTHONPATH=str(installation), HOME="/nonexistent", TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert (place / "study" / "report" / "index.html").is_file()
    assert (place / "study" / "export").is_dir()
    assert not Path("/nonexistent").exists()
    assert sorted(path.name for path in place.iterdir()) == ["study", "tmp"]  # nothing was left beside


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two users")
def test_a_group_shares_a_study(choices, open_place):
    place = open_place / "place"
    place.mkdir()
    os.chown(place, UID, GROUP)
    place.chmod(0o2775)
    settings = {"PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    command = [sys.executable, "-m", "hudd"]
    first = as_somebody(
        UID, [*command, "test", str(place / "study"), *choices[:-2]], group=GROUP, umask=0o002, **settings
    )
    assert first.returncode == 0, first.stderr
    second = as_somebody(
        OTHER, [*command, "heatmaps", str(place / "study")], group=GROUP, umask=0o002, **settings
    )
    assert second.returncode == 0, second.stderr
    assert {path.stat().st_gid for path in place.rglob("*")} == {GROUP}


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]) << 20,) * 2)
from hudd.cli import call
sys.exit(call(["show", sys.argv[2]]))
"""


@pytest.mark.parametrize("mebibytes", [400, 800, 1200, 1900])
def test_a_small_address_space_is_told(tiny, mebibytes):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(mebibytes), str(tiny)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("hudd: the address space is limited to ")
    assert done.stderr.endswith("lift the limit with 'ulimit -v unlimited'.\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("value", ["TRUE", "BEST_EFFORT", "FALSE", "nonsense"])
def test_hdf5_may_be_told_anything_about_locks(tiny, hudd, monkeypatch, value):
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", value)
    assert hudd("show", tiny)[0] == 0
    assert os.environ["HDF5_USE_FILE_LOCKING"] == "FALSE"


def test_no_decoding_thread(tiny, hudd):
    assert hudd("run", tiny, "--workers", "0", "--force", "test")[0] == 0


@pytest.mark.parametrize(
    "name",
    ["study.h5", ".lock", "log.jsonl", "review.json", "labels.csv", "shards", "models", "report", "export"],
)
def test_a_study_that_leads_out_is_refused_by_every_command(tiny, hudd, tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    place = tiny / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(outside / "file" if "." in name else outside)
    for command in (
        ["run", tiny],
        ["show", tiny],
        ["report", tiny],
        ["export", tiny],
        ["label", tiny],
    ):
        code, _, err = hudd(*command)
        assert code == 1
        assert f"'{place}' is a link to" in err
    assert [path.read_text() for path in outside.iterdir()] == ["precious"]
