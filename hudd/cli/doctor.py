"""``hudd doctor``."""

from __future__ import annotations

from hudd.cli import options as o


def doctor(json: o.Json = False) -> None:
    """List what was built, what was found on this machine, what is missing and how to get it.

    Leaves with exit code 1 if hudd cannot work as it is.

    [bold]Example[/]

      hudd doctor
    """
    import typer

    from hudd.cli.printing import console, in_line, print_json, print_pairs
    from hudd.diagnosis import diagnose

    found = diagnose()
    if json:
        print_json(found)
    else:
        for title in ("built", "machine", "caches", "versions", "extras"):
            print_pairs(title.capitalize(), {name: _text(value) for name, value in found[title].items()})
        for remedy in found["remedies"]:
            console.print(f"[yellow]![/] {in_line(remedy)}", soft_wrap=True)
        if not found["remedies"]:
            console.print("[green]✓[/] everything is there")
    if not found["works"]:
        raise typer.Exit(1)


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
