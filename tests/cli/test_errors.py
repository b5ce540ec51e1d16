"""What a user who errs gets to see: one sentence, the right exit code, nothing left behind."""

import signal
import subprocess
import sys

import pytest

COMMANDS = (
    "demo", "run", "test", "heatmaps", "distances", "cluster", "select", "label", "retrain", "evaluate", "report",
    "export", "show", "doctor",
)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nowhere"], "does not exist"),
        (["run", "new"], "--model is needed"),
        (["run", "new", "--model", "a:b"], "--test is needed"),
        (["run", "new", "--model", "nowhere.py:cnn", "--test", "x"], "nowhere.py"),
        (["run", "new", "--model", "hudd.data.cases.digits:model", "--test", "nowhere"], "no data at"),
        (["run", "new", "--model", "a:b", "--test", "x", "--resize", "big"], "--resize is 'big'"),
        (["run", "new", "--model", "a:b", "--test", "x", "--mean", "0.5,x,1"], "--mean is '0.5,x,1'"),
        (["run", "new", "--model", "a:b", "--test", "x", "--seed", "x"], "--seed"),
        (["run", "new", "--modle", "a:b"], "--modle"),
        (["demo", "--case", "faces"], "case 'faces' is unknown"),
        (["frobnicate"], "frobnicate"),
        (["show"], "STUDY"),
    ],
)
def test_wrong_calls(hudd, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = hudd(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("hudd: ")
    assert err.count("\n") == 1
    assert says in err
    assert not list(tmp_path.iterdir())


def test_a_foreign_study_file(hudd, tmp_path):
    (tmp_path / "study.h5").write_text("not HDF5")
    code, _, err = hudd("show", tmp_path)
    assert (code, err.count("\n")) == (1, 1)
    assert "not an HDF5 file" in err


def test_tracebacks_only_with_debug(hudd, tmp_path):
    assert "Traceback" not in hudd("show", tmp_path)[2]
    code, _, err = hudd("show", tmp_path, "--debug")
    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(hudd, command):
    code, out, _ = hudd(command, "--help")
    assert code == 0
    assert "Example" in out
    assert f"hudd {command}" in out


def test_no_arguments_show_the_commands(hudd):
    code, out, err = hudd()
    assert (code, err) == (0, "")
    assert out == hudd("--help")[1]
    assert all(f"  {command} " in out for command in COMMANDS)
    assert max(map(len, out.splitlines())) <= 60
    assert len(out.splitlines()) <= 42


def test_the_help_is_quick_and_needs_no_torch():
    code = "import sys; from hudd.cli import call; call(['--help']); sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
    )


def test_as_a_module():
    result = subprocess.run(
        [sys.executable, "-m", "hudd", "--version"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("hudd ")


def interrupted(*arguments, cwd=None):
    """Run a command, press Ctrl-C once it has printed a line, return exit code and standard error."""
    command = [sys.executable, "-u", "-m", "hudd", *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test in the background ignores it
    )  # fmt: skip
    try:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    finally:
        process.kill()
    return process.returncode, err


@pytest.mark.slow
@pytest.mark.timing
def test_an_interrupted_command_says_how_to_go_on(tmp_path):
    (tmp_path / "model.py").write_text("import signal\ndef net():\n    print('here')\n    signal.pause()")
    (tmp_path / "1.png").touch()
    code, err = interrupted("run", "new", "--model", "model.py:net", "--test", ".", cwd=tmp_path)
    assert (code, err) == (130, "hudd: interrupted; the same command resumes where it stopped.\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.timing
def test_ctrl_c_is_how_a_served_page_ends(demo):
    assert interrupted("report", demo, "--serve") == (0, "")
