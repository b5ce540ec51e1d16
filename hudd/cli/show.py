"""``hudd show``."""

from __future__ import annotations

from typing import Annotated

import typer

from hudd.cli import options as o
from hudd.cli.opening import open_results

# Of the causes: the rule is in most names, and with all intervals the table would be wider than a terminal.
_LEFT_OUT = {
    "causes": (
        "low",
        "high",
        "rule",
        "rate",
        "rate_low",
        "rate_high",
        "counted_on",
        "exposure_test",
        "exposure_improvement",
        "common",
    ),
    "judge": ("low", "high"),
}


def show(
    study: o.StudyDir,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Settings, hashes, versions and the time of each step.")
    ] = False,
    json: o.Json = False,
) -> None:
    """Show what a study has found so far.

    [bold]Examples[/]

      hudd show signs

      hudd show signs --json | jq .clusters

      hudd show signs --provenance
    """
    from hudd.cli.printing import console, in_line, print_cautions, print_json, print_pairs, print_table
    from hudd.review.view import view
    from hudd.summary import cautions, headline, summarise, table
    from hudd.summary.causes import COUNTED
    from hudd.summary.changes import run_changes, told

    opened = open_results(study)
    if json:
        with opened.file.sound():
            print_json(opened.provenance if provenance else summarise(view(opened)))
        return
    if provenance:
        facts = opened.provenance
        steps = facts.pop("steps")
        print_pairs("Provenance", {name: str(value) for name, value in facts.items()})
        print_table("Steps", opened.table("steps"), most=len(steps))
        return
    if not opened.has("splits/test"):
        console.print(
            in_line(f"The study in {study} is made but nothing is done yet; 'hudd run {study}' starts."),
            soft_wrap=True,
        )
        return
    results = view(opened)
    print_pairs(str(study), headline(results))
    print_cautions(cautions(results))
    shown = {
        **({"classes": "class"} if opened.task.has_classes else {}),
        "layers": "layers",
        "causes": "clusters",
        "clusters": "clusters",
        "judge": "judge",
        "retraining": "retraining",
        "parts": "splits/test/values/off",
    }
    with opened.file.sound():
        tables = {name: table(results, name) for name, needs in shown.items() if opened.has(needs)}
    for name, frame in tables.items():
        if not len(frame.columns):
            continue
        left_out = _LEFT_OUT.get(name, ())
        title = f"Error by {frame.columns[0]}" if name == "parts" else name.capitalize()
        if name == "causes" and (counted := {*frame["counted_on"]} - {""}):
            title += f"; fits and failures are counted on {COUNTED[counted.pop()]}"
        print_table(title, frame.drop(columns=list(left_out)))
    with opened.file.sound():
        changes = sorted(run_changes(results), key=lambda one: one.mode != opened.settings.effective_strategy)
    for change in changes[:1]:
        title = f"{change.which}, with 95 % intervals and McNemar's test: {change.about}"
        print_table(title, told(change))
    for hint in opened.hints():
        console.print(f"[dim]{in_line(hint)}[/]", soft_wrap=True)
