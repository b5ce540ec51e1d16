"""Options of settings: which commands have them, how the help lists them, what completion offers."""

import re
import subprocess
import sys

import pytest
import typer

from hudd.cli.app import app
from hudd.cli.options import FIELDS, completed
from hudd.cli.values import read
from hudd.errors import UsageError
from hudd.parts import ATTRIBUTES, CASES, CLUSTERERS, EXPORTERS, FEATURES, SELECTING, STRATEGIES, TASKS
from hudd.presets import PRESETS
from hudd.settings import Panel

COMMANDS = typer.main.get_command(app).commands
STEPS = ("test", "heatmaps", "distances", "cluster", "select", "retrain", "evaluate")
EVERYBODY = (
    "--model", "--weights", "--test", "--train", "--improvement", "--classes", "--preset", "--budget", "--device",
    "--epochs",
)  # fmt: skip


def options(command):
    return {each.name for each in COMMANDS[command].params if each.param_type_name == "option"}


def test_a_run_has_the_options_of_all_settings():
    assert set(FIELDS) <= options("run")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_has_the_options_of_the_settings_that_it_reads(step):
    read_by_step = {name for name, each in FIELDS.items() if step in each.steps}
    assert read_by_step <= options(step)
    assert (options(step) & set(FIELDS)) - read_by_step == ({"preset"} if step == "test" else set())


def shown(monkeypatch, hudd, columns, *command):
    """The help's panels, each with the options in it, as it is shown in so many columns."""
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = hudd(*command, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= columns
    panels = {}
    for line in out.splitlines():
        if title := re.match(r"╭─ (.+?) ─+╮", line):
            panels[title[1]] = []
        elif option := re.match(r"│ +(--[a-z-]+)", line):
            panels[list(panels)[-1]].append(option[1])
    return panels


@pytest.mark.parametrize("columns", [80, 120])
def test_the_help_of_a_run_begins_with_what_everybody_needs(monkeypatch, hudd, columns):
    panels = shown(monkeypatch, hudd, columns, "run")
    assert list(panels) == ["Arguments", *Panel]
    assert tuple(panels["Options"]) == (*EVERYBODY, "--config", "--help")
    flags = {each.flags.split("/")[0] for each in FIELDS.values()}
    others = {"--help", "--config", "--force", "--upgrade", "--break-lock", "--progress", "--junit"}
    assert {name for names in panels.values() for name in names} == flags | others


CHOICES = {
    "--preset": tuple(PRESETS),
    "--pool": ("none", "channel", "space"),
    "--features": tuple(FEATURES.own),
    "--reduction": ("none", "pca", "umap", "random-projection"),
    "--clusterer": tuple(CLUSTERERS.own),
    "--linkage-from": ("auto", "matrix", "rows"),
    "--pictures-against": ("nothing", "mean", "blur", "noise", "all"),
    "--task": tuple(TASKS.own),
    "--strategy": tuple(SELECTING.own),
    "--compare": tuple(STRATEGIES.own),
    "--optimizer": ("sgd", "rmsprop", "adam", "adamw"),
    "--schedule": ("constant", "cosine"),
    "--augment": ("flip", "shift"),
    "--precision": ("float32", "bfloat16"),
    "--loss": ("cross-entropy", "binary-cross-entropy", "mse", "l1", "wing"),
    "--store": ("all", "selected", "none"),
    "--dtype": ("float32", "float16"),
    "--arithmetic": ("float32", "tf32", "bfloat16"),
    "--bias": ("absorb", "ignore", "distribute"),
    "--compression": ("none", "gzip", "lzf", "zstd", "lz4", "blosc2", "bitshuffle"),
    "--device": ("auto", "cpu", "cuda"),
    "--decoder": ("simplejpeg", "pillow"),
    "--rules": ("recommended", "epsilon-plus", "hudd-2021", "z-plus"),
    "--force": STEPS,
    "--attributes": tuple(ATTRIBUTES.own),
}


def offered(monkeypatch, capfd, *words):
    """What a shell is told to offer for the last of the words."""
    monkeypatch.setenv("_HUDD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    capfd.readouterr()
    with pytest.raises(SystemExit):
        app([], prog_name="hudd", standalone_mode=False)
    return capfd.readouterr().out.split()


def test_the_help_of_the_demo_names_every_case():
    told = next(each.help for each in COMMANDS["demo"].params if each.name == "case")
    names = {"eyes" if name == "eyes-gaze" else name for name in CASES.own}  # by its short name
    assert names <= set(re.split(r",? ", told))


def test_every_choice_is_tried():
    assert {each.flags for each in FIELDS.values() if each.names} <= set(CHOICES)


@pytest.mark.parametrize("option", CHOICES)
def test_completion_offers_every_choice(monkeypatch, capfd, option):
    assert set(offered(monkeypatch, capfd, "hudd", "run", "signs", option, "")) >= set(CHOICES[option])


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (("hudd", "demo", "--case", "eyes"), ["eyes-gaze", "eyes-open"]),
        (("hudd", "export", "signs", "--to", "csv,co"), ["csv,coco"]),
        (("hudd", "retrain", "signs", "--compare", "hudd,ran"), ["hudd,random"]),
        (("hudd", "run", "signs", "--preset", "hu"), ["hudd", "hudd-2021"]),
        (("hudd", "run", "signs", "--seed", ""), []),
        (("hudd", "run", "signs", "--weights-"), ["--weights-key"]),
    ],
)
def test_completion_of_what_was_begun(monkeypatch, capfd, words, offers):
    assert offered(monkeypatch, capfd, *words) == offers


def test_completion_offers_what_packages_register():
    assert completed(lambda: (*CLUSTERERS, "mine"), "mi") == ["mine"]
    assert set(completed(lambda: CASES, "")) >= set(CASES.own)
    assert set(completed(lambda: EXPORTERS, "")) >= set(EXPORTERS.own)


def test_completion_needs_no_torch():
    code = (
        "import os, sys; os.environ.update(_HUDD_COMPLETE='complete_bash', COMP_WORDS='hudd run s --clusterer ',"
        "COMP_CWORD='4')\n"
        "from hudd.cli import call\n"
        "try: call([])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'sklearn', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*CLUSTERERS.own, "[]"]


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("layers", "0, features.*,", ("0", "features.*")),
        ("modes", "hudd", ("hudd",)),
        ("freeze", "0.*", ("0.*",)),
        ("rules", "epsilon-plus", "epsilon-plus"),
        ("rules", "0=z-box(0, 1),*=epsilon", {"0": "z-box(0, 1)", "*": "epsilon"}),
        ("angles", "gaze=360", {"gaze": 360.0}),
        ("units", "width=px, height=px", {"width": "px", "height": "px"}),
        ("layer", "auto", None),
        ("layer", "0", "0"),
        ("resize", "45", [45, 45]),
        ("resize", "45x60", [45, 60]),
        ("mean", "0.5", 0.5),
        ("std", "1,2,3", (1.0, 2.0, 3.0)),
        ("grayscale", True, True),
        ("seed", 3, 3),
        ("classes", "ant,bee", ("ant", "bee")),
    ],
)
def test_what_is_typed_becomes_the_value(name, typed, value):
    found = read(FIELDS[name], typed)
    assert (tuple(found) if name == "classes" else found) == value


@pytest.mark.parametrize(
    ("name", "typed"),
    [("angles", "gaze"), ("angles", "gaze=all"), ("units", "px"), ("resize", "big"), ("std", "a")],
)
def test_what_cannot_be_read_is_refused(name, typed):
    with pytest.raises(UsageError, match=f"--{name} (is|has) '"):
        read(FIELDS[name], typed)


def test_a_flag_is_taken_back(tiny, hudd):
    from hudd.study import Study

    assert hudd("test", tiny, "--skip-bad")[0] == 0
    assert Study.open(tiny).settings.skip_bad
    assert hudd("test", tiny, "--no-skip-bad")[0] == 0
    assert not Study.open(tiny).settings.skip_bad
