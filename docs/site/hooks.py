"""What MkDocs does not do by itself: references of commands and settings, formulas, cross-references, outside files."""

from __future__ import annotations

import html
import pkgutil
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("benchmarks/results", "examples", "hudd/dossier/schemas")  # linked from pages, copied to the site
_WORKER = re.compile(r"https://[^\"']*/iframe-worker/shim")


def on_files(files: Files, config: Any) -> Files:
    """Add what pages link to outside docs/."""
    for folder in LINKED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md":
                name = path.relative_to(ROOT).as_posix()
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Fill in files and commands, and point links that leave docs/ to the copies."""
    if included := re.match(r"<!-- file: (\S+) -->", markdown):
        markdown = (ROOT / included[1]).read_text(encoding="utf-8")
        markdown = markdown.replace("](docs/", "](").replace("](CHANGELOG.md", "](changelog.md")
    for folder in LINKED:
        markdown = re.sub(rf"\]\((?:\.\./)?((?:\.\./)*){folder}/", rf"](\1{folder}/", markdown)
    if page.file.src_uri == "reference/command-line.md":
        markdown = markdown.replace("<!-- commands -->", _commands())
    if page.file.src_uri.startswith("reference/"):
        markdown = re.sub(r"^::: (\S+)$", _with_settings, markdown, flags=re.M)
    return markdown


def on_page_content(content: str, page: Any, config: Any, files: Files) -> str:
    """Turn formulas into MathML, which needs no script, and the docstrings' roles into links."""
    return _drawn(_linked(_formulas(content)))


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Name the search, and take the script that lets it run without a server from the site itself."""
    output = output.replace(
        'role="dialog">', 'role="dialog" aria-label="Search">'
    )  # which the theme leaves unnamed
    return _WORKER.sub("../" * page.url.count("/") + "site/iframe-worker.js", output)


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """Do the same for the page about missing pages."""
    return _WORKER.sub("/site/iframe-worker.js", output_content)


def _linked(content: str) -> str:
    """Replace roles such as ``:func:`name` `` by links to the reference, or by the name where it is not there."""
    documented = _documented()

    def link(match: re.Match[str]) -> str:
        name = match["name"].lstrip("~.")
        owner, _, member = name.rpartition(".")
        target = _entry(documented, name) or f"{_entry(documented, owner) or owner}.{member}"
        return f'<autoref optional identifier="{target}"><code>{name.removeprefix("hudd.")}</code></autoref>'

    return re.sub(r":(?:func|class|meth|mod|data|attr|exc):<code>(?P<name>[^<]+)</code>", link, content)


def _documented() -> dict[str, list[str]]:
    """The full names of everything in the reference, by their last part."""
    found: dict[str, list[str]] = {}
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.M):
            found.setdefault(name.rpartition(".")[2], []).append(name)
    return found


def _entry(documented: dict[str, list[str]], name: str) -> str | None:
    """The entry of the reference that a docstring calls `name`; none if several could be meant."""
    entries = documented.get(name.rpartition(".")[2], [])
    if len(entries) > 1 and name.startswith("hudd."):
        meant = pkgutil.resolve_name(name)
        entries = [entry for entry in entries if pkgutil.resolve_name(entry) is meant]
    return entries[0] if len(entries) == 1 else None


def _drawn(content: str) -> str:
    """Put drawings into the page itself, so that their colours follow the theme that the reader chose."""

    def drawing(match: re.Match[str]) -> str:
        return (ROOT / "docs" / "images" / match["name"]).read_text(encoding="utf-8")

    return re.sub(r'<img [^>]*src="(?:\.\./)*images/(?P<name>[\w-]+\.svg)"[^>]*>', drawing, content)


def _formulas(content: str) -> str:

    def mathml(match: re.Match[str]) -> str:
        display = match["tag"] == "div"
        formula = html.unescape(match["formula"]).strip()[2:-2]
        return convert(formula, display="block" if display else "inline")

    return re.sub(
        r'<(?P<tag>span|div) class="arithmatex">(?P<formula>.*?)</(?P=tag)>', mathml, content, flags=re.S
    )


def _with_settings(entry: re.Match[str]) -> str:
    """Add the table of its settings to the entry of a class that has any, from the same source as its checks."""
    from hudd.field_types import words
    from hudd.settings import fields_of

    found = pkgutil.resolve_name(entry[1])
    if not isinstance(found, type) or not fields_of(found):
        return entry[0]
    rows = ["| setting | option | | value | read by |", "| --- | --- | --- | --- | --- |"]
    for name, each in fields_of(found).items():
        allowed = f"{words(each.hint)} {each.bounds or ''}".strip()
        steps = f"{', '.join(each.steps)}{'; changes no result' if each.neutral else ''}"
        flags = f"`{each.flags}`" if each.flags else ""
        rows.append(f"| `{name}` | {flags} | {_cell(each.told())} | {allowed} | {steps} |")
    return "\n".join([entry[0], "", *rows])


def _commands() -> str:
    """The reference of every command, from the same source as its --help."""
    import typer

    from hudd.cli.app import app

    group = typer.main.get_command(app)
    context = group.make_context("hudd", [], resilient_parsing=True)
    return "\n\n".join(
        _command(name, group.get_command(context, name)) for name in group.list_commands(context)
    )


def _command(name: str, command: Any) -> str:
    described, _, examples = (command.help or "").partition("[bold]Example")
    kinds = get_type_hints(command.callback)
    arguments = [p.metavar for p in command.params if p.param_type_name == "argument"]
    lines = [f"## hudd {name}", "", _plain(described).strip(), ""]
    lines += ["```text", " ".join(["hudd", name, *arguments, "[OPTIONS]"]), "```"]
    if examples:
        shown = _plain(examples.partition("[/]")[2])
        lines += ["", "```text", *(line.strip() for line in shown.splitlines() if line.strip()), "```"]
    panels: dict[str, list[str]] = {}
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            panel = getattr(parameter, "rich_help_panel", None) or "Options"
            panels.setdefault(panel, []).append(_option(parameter, kinds[parameter.name]))
    for panel, rows in panels.items():
        lines += ["", f"| {panel} | |", "| --- | --- |", *rows]
    return "\n".join(lines)


def _option(parameter: Any, kind: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if not parameter.is_flag:
        number = bool({int, float} & {kind, *get_args(kind)})
        names += f" {parameter.metavar or ('NUMBER' if number else 'NAME')}"
    return f"| {names} | {_cell(_plain(parameter.help or ''))} |"


def _cell(text: str) -> str:
    """Text that Markdown leaves alone in a table."""
    return re.sub(r"([|*_])", r"\\\1", text)


def _plain(text: str) -> str:
    """Text without rich's markup."""
    return re.sub(r"(?<!\\)\[/?[a-z ]*\]", "", text).replace("\\[", "[")
