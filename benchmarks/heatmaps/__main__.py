"""How faithful heatmaps are: patch flipping with several fillings, sizes and outputs, by paired tests over images.

The protocol is in docs/heatmap-quality.md. Families that are in the record already are kept: a run that is cut off
goes on where it was.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import harness
import numpy as np
import torch
from explanations import Explanation, composites, explanations
from families import NETWORKS, ROOT, Network, lacking, picked
from measures import Score, areas, behind, corrected, fillings, first, halves, orders, paired
from torch import Tensor

from hudd.lrp import recommended

OUTPUTS = ("probability", "logit")
ROLES = ("failing", "correct")
PAGE = ROOT / "docs" / "heatmap-quality.md"
BEGIN, END = "<!-- figures, written by benchmarks/heatmaps -->", "<!-- end of figures -->"


def measure(network: Network, images: Tensor, classes: Tensor) -> dict[str, Any]:
    """Every explanation of these images: their areas and gains, and which differ from the first.

    Logits count as shares of their mean size on the whole images.
    """
    started = time.perf_counter()
    scores = _scores(network, classes)
    whole = scores(images)
    unit = torch.stack([torch.ones(()), whole[:, 1].abs().mean()])
    filled = {name: (filling, (whole, scores(filling))) for name, filling in fillings(images).items()}
    rows, gains = [], {}
    for name, explain in explanations(network, images).items():
        maps, seconds = _explained(explain, images, classes, network.batch)
        found = {
            f"{kind} {size}": [
                area / unit for area in areas(scores, images, filling, orders(maps, size), size, ends)
            ]
            for kind, (filling, ends) in filled.items()
            for size in network.patches
        }
        gains[name] = {setting: (kept - gone).numpy() for setting, (kept, gone) in found.items()}
        insertion, deletion = (torch.stack(both).mean((0, 1)) for both in zip(*found.values()))
        row: dict[str, Any] = {"explanation": name, "milliseconds": 1e3 * seconds / len(images)}
        for at, output in enumerate(OUTPUTS):
            row[output] = {"insertion": float(insertion[at]), "deletion": float(deletion[at])}
            row[output] |= _means({setting: gain[:, at] for setting, gain in gains[name].items()})
        rows.append(row)
        print(f"  {name:28s} {row['milliseconds']:9.2f} ms an image", flush=True)
    usual = f"hudd {recommended(network.model, images[:2]).name}"
    ours = [f"hudd {name}" for name in composites(network)]
    judged = {}
    for at, output in enumerate(OUTPUTS):
        means = {name: np.mean(list(found.values()), 0)[:, at] for name, found in gains.items()}
        judged[output] = _judged(means, usual, ours)
    return {
        "images": len(images),
        "whole": dict(zip(OUTPUTS, whole.mean(0).tolist())),
        "recommended": usual,
        "seconds": round(time.perf_counter() - started, 1),
        "judged": judged,
        "rows": rows,
    }


def _scores(network: Network, classes: Tensor) -> Score:
    """Probability and logit of the class explained, (N, 2)."""

    @torch.inference_mode()
    def scores(images: Tensor) -> Tensor:
        found = []
        for part, chosen in zip(images.split(network.batch), classes[:, None].split(network.batch)):
            logits = network.model(part)
            found.append(torch.cat([logits.softmax(1).gather(1, chosen), logits.gather(1, chosen)], 1))
        return torch.cat(found).double()

    return scores


def _explained(explain: Explanation, images: Tensor, classes: Tensor, batch: int) -> tuple[Tensor, float]:
    """Maps of the images and the seconds they took, after a batch that is not counted."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that little relevance reaches the input, that captum asks for gradients
        explain(images[:batch], classes[:batch])
        started = time.perf_counter()
        maps = torch.cat([explain(*part) for part in zip(images.split(batch), classes.split(batch))])
    return maps, time.perf_counter() - started


def _means(gains: dict[str, np.ndarray]) -> dict[str, Any]:
    """Mean gains on either half over all settings, and of each setting on the confirming half."""
    parts = halves(len(next(iter(gains.values()))))
    mean = np.mean(list(gains.values()), 0)
    return {
        **{half: float(mean[rows].mean()) for half, rows in parts.items()},
        "by": {setting: float(gain[parts["confirming"]].mean()) for setting, gain in gains.items()},
    }


def _judged(gains: dict[str, np.ndarray], chosen: str, ours: list[str]) -> dict[str, Any]:
    """The first on the choosing half against all others, and hudd's first against the recommended composite."""
    best, challenger = first(gains), first({name: gains[name] for name in ours})
    half = halves(len(gains[best]))["confirming"]
    return {
        "first": best,
        "p": behind(gains, best),
        "challenger": challenger,
        "ahead": float((gains[challenger] - gains[chosen])[half].mean()),
        "challenger_p": paired(gains[challenger][half], gains[chosen][half]),
    }


def tables(record: dict[str, Any]) -> str:
    """The figures as Markdown."""
    families = record["families"]
    names = list(dict.fromkeys(row["explanation"] for found in families.values() for row in found["rows"]))
    heads = [f"{name} ({found['images'] // 2})" for name, found in families.items()]
    lines: list[str] = []
    for output in OUTPUTS:
        lines += ["", f"### Gain of the {output}", "", *_head(["", *heads])]
        for name in names:
            lines.append(_line([name, *(_cell(found, name, output) for found in families.values())]))
    lines += ["", "### Gain of the probability, by filling and side of the patches", ""]
    for name, found in families.items():
        settings = list(found["rows"][0]["probability"]["by"])
        lines += [f"{name}:", "", *_head(["", *settings, "ms an image"])]
        for row in found["rows"]:
            gains = [f"{row['probability']['by'][setting]:.3f}" for setting in settings]
            lines.append(_line([row["explanation"], *gains, f"{row['milliseconds']:.2f}"]))
        lines.append("")
    lines += ["### hudd's first on the choosing half against the recommended composite", ""]
    lines += _head(["", "output", "recommended", "first of hudd's", "ahead by", "p"])
    failing = {name: found for name, found in families.items() if name.endswith("failing")}
    for output in OUTPUTS:
        ps = corrected({name: found["judged"][output]["challenger_p"] for name, found in failing.items()})
        for name, found in failing.items():
            judged = found["judged"][output]
            cells = [found["recommended"], judged["challenger"], f"{judged['ahead']:+.3f}", f"{ps[name]:.2g}"]
            lines.append(_line([name, output, *cells]))
    return "\n".join(lines).strip()


def _head(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---"] * len(cells))]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(found: dict[str, Any], name: str, output: str) -> str:
    """The gain on the confirming half; bold: first on the choosing half; = : not told from that; (r): recommended."""
    row = next((row for row in found["rows"] if row["explanation"] == name), None)
    if row is None:
        return ""
    judged = found["judged"][output]
    gain = f"{row[output]['confirming']:.3f}"
    gain = f"**{gain}**" if name == judged["first"] else gain
    same = " =" if judged["p"].get(name, 0) >= 0.05 else ""
    return gain + same + (" (r)" if name == found["recommended"] else "")


def main() -> None:
    """Measure the families that are not in the record; write record, figure and page."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "heatmaps")
    every = [f"{name}, {role}" for role in ROLES for name in NETWORKS]
    options.set_defaults(repeats=1)
    options.add_argument("--family", action="append", choices=every, help="by default all that can be had")
    options.add_argument("--images", type=int, help="images a family; by default as the protocol says")
    options.add_argument("--page", action="store_true", help="only write the tables of docs/ again")
    chosen = harness.parse(options, family=["digits, failing"], images=20)
    record = json.loads(chosen.out.read_text()) if chosen.out.exists() else {"families": {}}
    if not chosen.page:
        record |= {
            "machine": harness.machine(),
            "versions": harness.versions("torch", "captum", "scipy", "mlxtend", "hudd"),
            "repeats": chosen.repeats,
        }
        harness.left_out(record["versions"])
        _measured(
            record["families"],
            chosen.family or every,
            chosen.images,
            lambda: harness.write(chosen.out, record),
        )
    if chosen.out.parent == harness.RESULTS and PAGE.exists():
        _illustrate(record, chosen.out.with_suffix(".svg"))


def _measured(
    known: dict[str, Any], families: Sequence[str], count: int | None, write: Callable[[], None]
) -> None:
    networks: dict[str, Network] = {}
    for family in families:
        name, _, role = family.rpartition(", ")
        if missing := lacking(name):
            print(f"{family}: left out, for there is no {', no '.join(missing)}")
        elif family not in known:
            print(family, flush=True)
            network = networks.setdefault(name, networks.get(name) or NETWORKS[name][0]())
            wanted = count or network.images[ROLES.index(role)]
            known[family] = measure(network, *picked(network, wanted, failing=role == "failing"))
            _print(family, known[family])
            write()


def _print(family: str, found: dict[str, Any]) -> None:
    columns = ("gain of the probability", "p", "gain of the logit", "p")
    rows = {}
    for row in found["rows"]:
        cells: list[float | str] = []
        for output in OUTPUTS:
            p = found["judged"][output]["p"].get(row["explanation"])
            cells += [row[output]["confirming"], "first" if p is None else f"{p:.2g}"]
        rows[row["explanation"]] = cells
    harness.table(f"{family}: {found['images']} images, {found['seconds']} s", columns, rows)


def _plot(families: dict[str, Any], path: Path) -> None:
    """Gains of the probability, one column a family; hudd's blue, the recommended composite's darker."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "hudd"  # the same figures give the same file
    names = list(dict.fromkeys(row["explanation"] for found in families.values() for row in found["rows"]))
    figure, axes = plt.subplots(
        1,
        len(families),
        figsize=(2.4 + 1.9 * len(families), 4.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (family, found) in zip(axes[0], families.items()):
        for row in found["rows"]:
            name = row["explanation"]
            colour = "#7ea6d6" if name.startswith("hudd") else "#b9c3cf"
            colour = "#1f4f8a" if name == found["recommended"] else colour
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


def _illustrate(record: dict[str, Any], picture: Path) -> None:
    """Write the figure and the page's tables."""
    _plot({name: found for name, found in record["families"].items() if name.endswith("failing")}, picture)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(record)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
