"""One measure on one family of images: every explanation's figures, and which differ."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from covered import covered
from explanations import BASELINES, Explanation, composites, explanations
from families import NETWORKS, Network, picked
from flipping import Score, areas, fillings, orders
from judging import against, halves, judged
from localisation import FIGURES, located
from randomisation import agreement, depths, layers, shuffled
from stability import change, noisy
from torch import Tensor

from hudd.lrp import recommended

OUTPUTS = ("probability", "logit")
ROLES = ("failing", "correct")
MEASURES = ("flipping", "localisation", "stability", "randomisation")
FEW = 200  # images by which nothing is chosen
PRIORS = ("random", "centre")

Figures = dict[str, Any]


def cell(
    measure: str, name: str, role: str, count: int | None, folder: Path, threads: int | None = None
) -> Figures:
    """Measure one family.

    Parameters
    ----------
    measure, name, role : str
        One of `MEASURES`, of `NETWORKS`, of `ROLES`.
    count : int or None
        Images; by default as many as the protocol says.
    folder : Path
        Where trained networks are kept.
    threads : int, optional
        Of torch in this process.
    """
    if threads:
        torch.set_num_threads(threads)
    started, network = time.perf_counter(), _network(name, folder)
    whole = network.images[ROLES.index(role)]
    if measure == "localisation":
        found = localisation(network, count or whole)
    else:
        count = count or (whole if measure == "flipping" else min(FEW, whole))
        run = {"flipping": flipping, "stability": stability, "randomisation": randomisation}[measure]
        if measure != "flipping":
            network = replace(network, candidates=False)  # nothing is chosen by these
        found = run(network, *picked(network, count, failing=role == "failing"))
    return found | {"seconds": round(time.perf_counter() - started, 1)}


@cache
def _network(name: str, folder: Path) -> Network:
    return NETWORKS[name][0](folder)


def flipping(network: Network, images: Tensor, classes: Tensor) -> Figures:
    """Areas and gains of patch flipping. Logits count as shares of their mean size on the whole images."""
    scores = _scores(network, classes)
    whole = scores(images)
    unit = torch.stack([torch.ones(()), whole[:, 1].abs().mean()])
    filled = {name: (filling, (whole, scores(filling))) for name, filling in fillings(images).items()}
    rows, gains = [], {}
    for name, explain in _explanations(network, images).items():
        maps, seconds = _explained(explain, images, classes, network.batch)
        found = {
            f"{kind} {size}": [
                area / unit
                for area in areas(scores, images, filling, orders(maps, size), size, ends, network.shares)
            ]
            for kind, (filling, ends) in filled.items()
            for size in network.patches
        }
        gains[name] = {setting: (kept - gone).numpy() for setting, (kept, gone) in found.items()}
        insertion, deletion = (torch.stack(both).mean((0, 1)) for both in zip(*found.values()))
        row: Figures = {"explanation": name, "milliseconds": 1e3 * seconds / len(images)}
        for at, output in enumerate(OUTPUTS):
            row[output] = {"insertion": float(insertion[at]), "deletion": float(deletion[at])}
            row[output] |= _means({setting: gain[:, at] for setting, gain in gains[name].items()})
        rows.append(row)
    verdicts = {}
    for at, output in enumerate(OUTPUTS):
        means = {name: np.mean(list(found.values()), 0)[:, at] for name, found in gains.items()}
        verdicts[output] = judged(means, _usual(network, images), _ours(network))
    return _summary(network, images, rows) | {
        "whole": dict(zip(OUTPUTS, whole.mean(0).tolist())),
        "judged": verdicts,
    }


def localisation(network: Network, count: int) -> Figures:
    """Where relevance lies on images that fail since a part of them is covered.

    What knows nothing of the image is not ranked: the generators put most causes near the middle.
    """
    sample = covered(network, count)
    found = {}
    for name, explain in _explanations(network, sample.images).items():
        maps = _maps(explain, sample.images, sample.classes, network.batch)
        found[name] = located(maps, sample.masks)
    rows = [
        {"explanation": name} | {figure: _halved(values) for figure, values in figures.items()}
        for name, figures in found.items()
    ]
    verdicts = {
        figure: judged(
            {name: figures[figure] for name, figures in found.items()},
            _usual(network, sample.images),
            _ours(network),
            unranked=PRIORS,
        )
        for figure in FIGURES
    }
    causes = dict(zip(*(column.tolist() for column in np.unique(sample.causes, return_counts=True))))
    area = float(sample.masks.double().mean())
    return _summary(network, sample.images, rows) | {"causes": causes, "masked": area, "judged": verdicts}


def stability(network: Network, images: Tensor, classes: Tensor) -> Figures:
    """Relative change of the maps under small noise: the mean over the draws, and the largest of them."""
    low, high = network.box
    found = {}
    for name, explain in _explanations(network, images).items():
        maps = _maps(explain, images, classes, network.batch)
        changes = [
            change(maps, _maps(explain, other, classes, network.batch)) for other in noisy(images, high - low)
        ]
        found[name] = torch.stack(changes).numpy()
    rows = [
        {"explanation": name, "mean": float(values.mean()), "most": float(values.max(0).mean())}
        for name, values in found.items()
    ]
    p = against({name: values.mean(0) for name, values in found.items()}, _usual(network, images))
    return _summary(network, images, rows) | {"p": p}


def randomisation(network: Network, images: Tensor, classes: Tensor) -> Figures:
    """Rank correlation of the maps with those of the network whose upper layers are shuffled, by depth.

    Random numbers are left out, for there is no telling which go with which.
    """
    network = replace(network, left_out=(*network.left_out, "random"))
    order = layers(network.model, images[:1])
    original = {
        name: _maps(explain, images, classes, network.batch)
        for name, explain in _explanations(network, images).items()
    }
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in original}
    for depth, number in depths(len(order)).items():
        other = replace(network, model=shuffled(network.model, order[:number]))
        for name, explain in _explanations(other, images).items():
            maps = _maps(explain, images, classes, network.batch)
            found[name][depth] = agreement(original[name], maps)
    rows = [
        {"explanation": name} | {depth: float(values.mean()) for depth, values in by.items()}
        for name, by in found.items()
    ]
    last = {name: list(by.values())[-1] for name, by in found.items()}
    return _summary(network, images, rows) | {"layers": order, "p": against(last, _usual(network, images))}


def _summary(network: Network, images: Tensor, rows: list[Figures]) -> Figures:
    return {"images": len(images), "recommended": _usual(network, images), "rows": rows}


def _usual(network: Network, images: Tensor) -> str:
    return f"hudd {recommended(network.model, images[:2]).name}"


def _ours(network: Network) -> list[str]:
    names = (*composites(network), *(f"epsilon, {baseline}" for baseline in BASELINES))
    return [f"hudd {name}" for name in names if f"hudd {name}" not in network.left_out]


def _explanations(network: Network, images: Tensor) -> dict[str, Explanation]:
    every = explanations(network, images)
    return {name: explain for name, explain in every.items() if name not in network.left_out}


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
    _maps(explain, images[:batch], classes[:batch], batch)
    started = time.perf_counter()
    maps = _maps(explain, images, classes, batch)
    return maps, time.perf_counter() - started


def _maps(explain: Explanation, images: Tensor, classes: Tensor, batch: int) -> Tensor:
    with warnings.catch_warnings():
        # That little relevance reaches the input, that captum asks for gradients.
        warnings.simplefilter("ignore")
        return torch.cat([explain(*part) for part in zip(images.split(batch), classes.split(batch))])


def _means(gains: dict[str, np.ndarray]) -> Figures:
    """Mean gains on either half over all settings, and of each setting on the confirming half."""
    half = halves(len(next(iter(gains.values()))))["confirming"]
    mean = np.mean(list(gains.values()), 0)
    return _halved(mean) | {"by": {setting: float(gain[half].mean()) for setting, gain in gains.items()}}


def _halved(values: np.ndarray) -> Figures:
    return {half: float(values[rows].mean()) for half, rows in halves(len(values)).items()}
