"""The figures of a record as Markdown, and as a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from cells import OUTPUTS
from judging import corrected
from localisation import FIGURES

Families = dict[str, dict[str, Any]]
AGAINST_ALL = "hudd epsilon, mean and blur and noise"  # recommended where there are baselines


def flipping(families: Families) -> str:
    """Gains of patch flipping: of both outputs, by setting, and of hudd's first against the recommended composite."""
    lines: list[str] = []
    for output in OUTPUTS:
        lines += ["", f"### Gain of the {output}", "", *_judged(families, output)]
    lines += ["", "### Gain of the probability, by filling and side of the patches", ""]
    for name, found in families.items():
        settings = list(found["rows"][0]["probability"]["by"])
        lines += [f"{name}:", "", *_head(["", *settings, "ms an image"])]
        for row in found["rows"]:
            gains = [f"{row['probability']['by'][setting]:.3f}" for setting in settings]
            lines.append(_line([row["explanation"], *gains, f"{row['milliseconds']:.2f}"]))
        lines.append("")
    lines += ["### hudd's first on the choosing half against the recommended composite", ""]
    failing = {name: found for name, found in families.items() if name.endswith("failing")}
    lines += _challenges(failing, OUTPUTS, "output")
    return "\n".join(lines).strip()


def localisation(families: Families) -> str:
    """Where relevance lies on images whose failure has a place."""
    said = {
        "inside": "Share of positive relevance inside the mask",
        "pointing": "Most relevant pixel inside the mask",
        "auc": "Area under the ROC curve of the pixels of the mask",
    }
    lines = []
    for figure, title in said.items():
        lines += ["", f"### {title}", "", *_judged(families, figure)]
    lines += ["", "The images:", "", *_head(["", "images by cause", "of an image masked"])]
    for name, found in families.items():
        causes = ", ".join(f"{cause} {count}" for cause, count in found["causes"].items())
        lines.append(_line([name, causes, f"{found['masked']:.3f}"]))
    lines += ["", "hudd's first on the choosing half against the recommended composite:", ""]
    lines += _challenges(families, FIGURES, "measure")
    return "\n".join(lines).strip()


def stability(families: Families) -> str:
    """How much maps change under noise."""

    def cell(found: dict[str, Any], row: dict[str, Any]) -> str:
        return f"{row['mean']:.3f}; {row['most']:.3f}" + _unlike(found, row)

    heads = {name: f"{name} ({found['images']})" for name, found in families.items()}
    lines = [
        "### Relative change under noise: mean of the draws; largest",
        "",
        *_table(families, heads, cell),
    ]
    return "\n".join(lines)


def randomisation(families: Families) -> str:
    """How alike maps stay as weights are shuffled."""
    lines = []
    for name, found in families.items():
        depths = [key for key in found["rows"][0] if key != "explanation"]
        head = _head([f"{name} ({found['images']}; {len(found['layers'])} layers)", *depths])
        lines += ["", *head]
        for row in found["rows"]:
            figures = [f"{row[depth]:.3f}" for depth in depths]
            figures[-1] += _unlike(found, row)
            lines.append(_line([row["explanation"], *figures]))
    return "\n".join(["### Rank correlation with the original map, by what is shuffled", *lines])


SECTIONS: dict[str, Callable[[Families], str]] = {
    "flipping": flipping,
    "localisation": localisation,
    "stability": stability,
    "randomisation": randomisation,
}


def sections(measures: dict[str, Families]) -> str:
    """All that was measured."""
    parts = [section(measures[name]) for name, section in SECTIONS.items() if measures.get(name)]
    return "\n\n".join(parts)


def _judged(families: Families, figure: str) -> list[str]:
    """Explanations down, families across: the figure on the confirming half.

    Bold: first on the choosing half; = : not told from that; (r): recommended, without a baseline or against three.
    """

    def cell(found: dict[str, Any], row: dict[str, Any]) -> str:
        name, judged = row["explanation"], found["judged"][figure]
        shown = f"{row[figure]['confirming']:.3f}"
        shown = f"**{shown}**" if name == judged["first"] else shown
        same = " =" if judged["p"].get(name, 0) >= 0.05 else ""
        return shown + same + (" (r)" if name in (found["recommended"], AGAINST_ALL) else "")

    heads = {name: f"{name} ({found['images'] // 2})" for name, found in families.items()}
    return _table(families, heads, cell)


def _table(
    families: Families, heads: dict[str, str], cell: Callable[[dict[str, Any], dict[str, Any]], str]
) -> list[str]:
    lines = _head(["", *heads.values()])
    for name in explained(families):
        rows = [_row(found, name) for found in families.values()]
        cells = [cell(found, row) if row else "" for found, row in zip(families.values(), rows)]
        lines.append(_line([name, *cells]))
    return lines


def _challenges(families: Families, figures: Iterable[str], what: str) -> list[str]:
    lines = _head(["", what, "recommended", "first of hudd's", "ahead by", "p"])
    for figure in figures:
        ps = corrected({name: found["judged"][figure]["challenger_p"] for name, found in families.items()})
        for name, found in families.items():
            judged = found["judged"][figure]
            cells = [found["recommended"], judged["challenger"], f"{judged['ahead']:+.3f}", f"{ps[name]:.2g}"]
            lines.append(_line([name, figure, *cells]))
    return lines


def _unlike(found: dict[str, Any], row: dict[str, Any]) -> str:
    """(r): recommended; = : not told from that."""
    if row["explanation"] == found["recommended"]:
        return " (r)"
    return " =" if found["p"][row["explanation"]] >= 0.05 else ""


def explained(families: Families) -> list[str]:
    """The explanations of all families."""
    return list(dict.fromkeys(row["explanation"] for found in families.values() for row in found["rows"]))


def _row(found: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((row for row in found["rows"] if row["explanation"] == name), None)


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---"] * len(cells))]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plot(families: Families, path: Path) -> None:
    """Gains of the probability, one column a family; hudd's blue, what is recommended darker."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "hudd"  # the same figures give the same file
    names = explained(families)
    figure, axes = plt.subplots(
        1, len(families), figsize=(2.4 + 1.9 * len(families), 1 + 0.19 * len(names)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for ax, (family, found) in zip(axes[0], families.items()):
        for row in found["rows"]:
            name = row["explanation"]
            colour = "#7ea6d6" if name.startswith("hudd") else "#b9c3cf"
            colour = "#1f4f8a" if name in (found["recommended"], AGAINST_ALL) else colour
            ax.barh(names.index(name), row["probability"]["confirming"], color=colour)
        ax.set_title(family, fontsize=9)
        ax.axvline(0, color="#444444", linewidth=0.6)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    figure.supxlabel("symmetric relevance gain, probability of the explained class", fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
