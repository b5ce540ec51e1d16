"""The commands by topic, in the order in which they are used, and the overview that ``hudd --help`` prints.

Nothing is imported for it: a command's module is loaded when that command is called.
"""

from __future__ import annotations

PANELS: dict[str, dict[str, str]] = {
    "Everything at once": {
        "demo": "run the whole method on a bundled case",
        "run": "run all steps on your own DNN, or resume",
        "init": "write a file of settings to fill in for 'run'",
    },
    "One step each": {
        "test": "run the DNN over the images and find its errors",
        "heatmaps": "compute the relevance of every error",
        "distances": "take distances between the errors",
        "cluster": "cluster the errors, join clusters into causes",
        "select": "select the images to label next",
        "label": "label the selected images",
        "retrain": "retrain the DNN on them, and test it again",
        "evaluate": "measure what the images of a cluster share",
    },
    "Results and machine": {
        "report": "write the HTML report",
        "export": "write tables, images, projects of other tools",
        "dossier": "write evidence for a safety case as PDF",
        "show": "show what a study has found so far",
        "check": "hold a study against acceptance criteria",
        "diff": "compare two studies of one test set",
        "monitor": "export a program that warns of known causes",
        "repair": "read a study's file whole and seal it again",
        "bench": "measure hudd and its peers on this machine",
        "doctor": "list what was built and what is missing",
    },
}
COMMANDS = {name: f"hudd.cli.{name}" for commands in PANELS.values() for name in commands}
"""Where each command is found: its module, whose function has its name (``run_test`` that of ``test``)."""


def overview() -> str:
    """Return what ``hudd --help`` prints, at most 60 columns wide."""
    lines = [
        "Usage: hudd COMMAND ...",
        "",
        "Find the root causes of an image DNN's failures from",
        "clustered relevance heatmaps, and help to fix them.",
        "",
        "  hudd demo                      see it at work",
        "  hudd run STUDY --model SPEC --test DATA --train DATA \\",
        "      --improvement DATA         on your own DNN",
    ]
    for panel, commands in PANELS.items():
        lines += ["", panel, *(f"  {name:<10} {summary}" for name, summary in commands.items())]
    lines += [
        "",
        "'hudd COMMAND --help' has options and examples.",
        "--version prints the version; --debug with any command",
        "shows the traceback of an error; --install-completion",
        "completes commands and options in this shell.",
        "Exit codes: 0 done, 1 the work failed, 2 the call was",
        "wrong, 130 interrupted.",
    ]
    return "\n".join(lines)
