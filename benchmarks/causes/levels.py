"""Causes and clusters of moments-image, of what it is made of and of others, on failures as the field has them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from scipy.stats import wilcoxon
from sklearn.cluster import HDBSCAN
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import harness
from field import KINDS, NATURAL, FieldProblem, Kind, as_inputs, field_problem, predict
from metrics import quality

from hudd.clustering import causes as splits
from hudd.clustering import cluster, find_causes
from hudd.clustering.wicd import flat_labels
from hudd.distances import pairwise_distances
from hudd.features import Moments, MomentsImage
from hudd.features.contrast import COMPONENTS
from hudd.features.moments import Block, Shares

SEEDS = (411, 412, 413)
DEFAULT = "moments-image"
SHOWN = (
    "information",
    "purity",
    "redundancy",
    "coverage",
    "rare_coverage",
    "clusters",
    "precision_at_10",
    "seconds",
)
_BATCH = 100
Labels = np.ndarray


class _Given(Moments):
    """Moments of which the columns are known."""

    def __init__(
        self,
        failures: list[np.ndarray],
        normal: list[np.ndarray],
        blocks: list[Block],
        deviation: float,
        trimmed: float,
    ) -> None:
        self._failures, self._normal = failures, normal  # type: ignore[assignment]
        self.map_deviation, self.trimmed, self._given = deviation, trimmed, blocks

    def _blocks(self, groups: int) -> list[Block]:
        return self._given

    def _collected(self, some: Any) -> list[np.ndarray]:
        return list(some)

    def rows(self) -> np.ndarray:
        """Return the features of the failures, as :meth:`Moments.attribute` does."""
        origin, directions = self._map
        rows = (torch.from_numpy(np.concatenate(self._failures, 1)).double() - origin) @ directions  # type: ignore
        length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        return (rows / length.sqrt().clamp(min=1e-6)).float().numpy()


class Source:
    """What the methods are made from, each made once: of each kind of features the groups of columns.

    These are: of each layer relevance, or activations weighted by it; of each its activation; the map; and, of
    `moments-image`, the image weighted by relevance and the image.
    """

    def __init__(self, problem: FieldProblem, kind: type[Moments] = Moments) -> None:
        self.problem, self.plain = problem, kind.plain
        started = process_time()
        extractor = kind(problem.model, lambda most: ())
        extractor.prepare(as_inputs(problem.images[:2]))

        def parts(images: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
            found = [
                extractor._parts(
                    as_inputs(images[at : at + _BATCH]), torch.from_numpy(target[at : at + _BATCH])
                )[0]
                for at in range(0, len(images), _BATCH)
            ]
            return [torch.cat(group).detach().numpy() for group in zip(*found)]

        self.failures = parts(problem.images, problem.prediction)
        self.normal = parts(problem.right, problem.right_label)
        self.seconds = process_time() - started
        self.flagged: list[dict[str, Any]] = []
        self.half = (len(self.failures) - (3 if kind is MomentsImage else 1)) // 2

    def rows(
        self,
        deviation: float = 0.5,
        trimmed: float = 0.25,
        of: str = "both",
        contrast: bool = True,
        rough: bool = True,
        plain: float | None = None,
    ) -> np.ndarray:
        """Features of the failures, of some of the columns; `plain` as of the features, where both are asked for."""
        first, last = {
            "both": (0, 2 * self.half),
            "relevance": (0, self.half),
            "activation": (self.half, 2 * self.half),
        }[of]
        plain = self.plain if plain is None else plain
        shares: Shares = [plain if at >= self.half and of == "both" else 1.0 for at in range(first, last)]
        chosen = [*range(first, last), *([2 * self.half] if deviation else [])]
        block = ([*shares, *([None] if deviation else [])], COMPONENTS)
        return self._made(chosen, [block], deviation, trimmed, contrast, rough)

    def views(
        self,
        network: bool = True,
        image: bool = True,
        used: bool = True,
        everywhere: bool = True,
        deviation: float = MomentsImage.map_deviation,
        apart: bool = True,
        contrast: bool = True,
    ) -> np.ndarray:
        """Features of `moments-image`: of network and image, weighted by relevance (`used`), and everywhere."""
        layers = self.half
        plain = self.plain if used else 1.0
        chosen, blocks = [], list[Block]()
        for asked, at, count, components in ((network, 0, layers, 75), (image, 2 * layers + 1, 1, 100)):
            if not asked:
                continue
            chosen += [*(range(at, at + count) if used else ())]
            chosen += [*(range(at + count, at + 2 * count) if everywhere else ())]
            whole = layers / count  # as much variance, where nothing whitens
            shares: Shares = [*[whole] * count * used, *[whole * plain] * count * everywhere]
            if at == 0 and deviation:
                chosen.append(2 * layers)
                shares.append(None)
            blocks.append((shares, components))
        if not apart:
            blocks = [([share for shares, _ in blocks for share in shares], COMPONENTS)]
        return self._made(chosen, blocks, deviation, 0.25, contrast)

    def _made(
        self,
        chosen: list[int],
        blocks: list[Block],
        deviation: float,
        trimmed: float,
        contrast: bool,
        rough: bool = True,
    ) -> np.ndarray:
        normal = [self.part(self.normal, at, rough) for at in chosen] if contrast else []
        failures = [self.part(self.failures, at, rough) for at in chosen]
        return _Given(failures, normal, blocks, deviation, trimmed).rows()

    def part(self, parts: list[np.ndarray], at: int, rough: bool = True) -> np.ndarray:
        """Columns of a layer; of activations those that relevance has too, unless `rough`."""
        smooth = self.half <= at < 2 * self.half and not rough
        return parts[at][:, : parts[at - self.half].shape[1]] if smooth else parts[at]

    def penultimate(self, images: np.ndarray) -> np.ndarray:
        """Input of the last linear layer, (N, d)."""
        layer = [module for module in self.problem.model.modules() if isinstance(module, torch.nn.Linear)][-1]
        kept: list[np.ndarray] = []
        hook = layer.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0].detach().numpy()))
        predict(self.problem.model, images)
        hook.remove()
        return np.concatenate(kept)


def _pca(rows: np.ndarray, count: int) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    u, s, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    return u[:, :count] * s[:count]


def _by_bic(rows: np.ndarray, kind: str) -> Labels:
    models = (
        GaussianMixture(k, covariance_type=kind, random_state=0, reg_covar=1e-3).fit(rows)
        for k in range(2, 31, 2)
    )
    return min(models, key=lambda model: model.bic(rows)).predict(rows) + 1


def _by_silhouette(rows: np.ndarray) -> Labels:
    z = cluster(rows, preset="moments").linkage
    return max((flat_labels(z, k) for k in range(2, 41)), key=lambda labels: silhouette_score(rows, labels))


def _mixture_of_slices(source: Source, k: int = 25, weight: float = 10.0, rounds: int = 60) -> Labels:
    """Domino's model (S. Eyuboglu et al., ICLR 2022): Gaussians and both classes, whose logs count `weight` times."""
    given = source.problem
    rows = _pca(source.penultimate(given.images), 64)
    truth, told = (
        np.eye(given.label.max() + given.prediction.max() + 1)[c] for c in (given.label, given.prediction)
    )
    start = GaussianMixture(k, covariance_type="diag", random_state=0, reg_covar=1e-3, max_iter=5).fit(rows)
    share = start.predict_proba(rows) + 1e-6
    for _ in range(rounds):
        share /= share.sum(axis=1, keepdims=True)
        size = share.sum(axis=0) + 1e-9
        mean = share.T @ rows / size[:, None]
        variance = np.maximum(share.T @ rows**2 / size[:, None] - mean**2, 1e-6) + 1e-3
        logs = np.log(size / len(rows)) - 0.5 * np.log(variance).sum(axis=1)
        logs = logs - 0.5 * ((rows[:, None] - mean) ** 2 / variance).sum(axis=2)
        for classes in (truth, told):
            logs = logs + weight * classes @ np.log(share.T @ classes / size[:, None] + 1e-6).T
        share = np.exp(logs - logs.max(axis=1, keepdims=True)) + 1e-12
    return share.argmax(axis=1) + 1


def _embedded(rows: np.ndarray) -> Labels:
    from umap import UMAP

    return (
        HDBSCAN(min_cluster_size=5, copy=True).fit_predict(
            UMAP(n_components=10, random_state=0).fit_transform(rows)
        )
        + 1
    )


def _thirty_lines(source: Source) -> np.ndarray:
    """Means and deviations of the channels, scaled by the correctly classified images: no relevance."""
    some = range(source.half, 2 * source.half)
    failures, normal = (
        np.concatenate([source.part(parts, at, rough=False) for at in some], 1)
        for parts in (source.failures, source.normal)
    )
    return _pca((failures - normal.mean(axis=0)) / (normal.std(axis=0) + 1e-3 * normal.std()), 50)


@contextmanager
def one_figure(at: int) -> Iterator[None]:
    """Test splits by one of the two figures alone: the variance, at level 0.01 as the first form, or neighbours."""
    apart = splits._apart
    splits._apart = lambda squares, left: apart(squares, left)[at : at + 1]
    try:
        yield
    finally:
        splits._apart = apart


def methods(source: Source) -> dict[str, tuple[Labels, np.ndarray, float]]:
    """Return the groups of every method, the rows that its centres are taken in, and its seconds."""
    found: dict[str, tuple[Labels, np.ndarray, float]] = {}

    def add(name: str, make: Callable[[], tuple[Labels, np.ndarray]], before: float = 0.0) -> None:
        started = process_time()
        labels, rows = make()
        found[name] = (labels, rows, before + process_time() - started)

    def both(
        name: str, rows: np.ndarray, of: Source, level: float = splits.LEVEL, contrasted: bool = True
    ) -> None:
        started = process_time()
        clusters = cluster(rows, preset="moments")
        seconds = of.seconds + process_time() - started
        found[f"{name}, clusters"] = (clusters.labels, rows, seconds)
        started = process_time()
        deviations = rows if contrasted else None
        causes = find_causes(clusters, pairwise_distances(rows, condensed=True), deviations, level=level)
        label = causes.of_cluster[clusters.labels - 1]
        found[name] = (label, rows, seconds + process_time() - started)
        if name == DEFAULT:
            told = source.problem.cause == NATURAL
            source.flagged = [
                {
                    "size": int((label == c).sum()),
                    "natural": float(told[label == c].mean()),
                    "common": bool(common),
                }
                for c, common in enumerate(causes.common.tolist(), start=1)
            ]

    seen = Source(source.problem, MomentsImage)
    rows = seen.views()
    both(DEFAULT, rows, seen)
    with one_figure(0):
        both("splits by variance", rows, seen, level=0.01)
    with one_figure(1):
        both("splits by neighbours", rows, seen)
    both("no map", seen.views(deviation=0.0), seen)
    both("network alone", seen.views(image=False), seen)
    both("image alone", seen.views(network=False), seen)
    both("image alone, without relevance", seen.views(network=False, used=False), seen)
    both("without relevance", seen.views(used=False), seen)
    both("where it is used alone", seen.views(everywhere=False), seen)
    both("contrasted together", seen.views(apart=False), seen)
    both("no contrast", seen.views(contrast=False), seen, contrasted=False)
    both("moments", source.rows(), source)
    both("moments, activation alone, no map", source.rows(of="activation", deviation=0.0), source)
    both("moments-2026", source.rows(deviation=1.0, trimmed=0.0, rough=False), source)
    lines = _thirty_lines(source)
    deep = source.penultimate(source.problem.images)
    z = cluster(rows, preset="moments").linkage
    add("Ward, 12", lambda: (flat_labels(z, 12), rows), seen.seconds)
    add("Ward, silhouette", lambda: (_by_silhouette(rows), rows), seen.seconds)
    add("mixture of 10 dimensions, BIC", lambda: (_by_bic(_pca(rows, 10), "full"), rows), seen.seconds)
    add("diagonal mixture of 50, BIC", lambda: (_by_bic(_pca(rows, 50), "diag"), rows), seen.seconds)
    add(
        "HDBSCAN",
        lambda: (HDBSCAN(min_cluster_size=5, copy=True).fit_predict(_pca(rows, 20)) + 1, rows),
        seen.seconds,
    )
    add("thirty lines, BIC", lambda: (_by_bic(lines, "diag"), lines))
    add("penultimate, UMAP, HDBSCAN", lambda: (_embedded(deep), deep))
    add("penultimate, mixture with classes", lambda: (_mixture_of_slices(source), deep))
    return found


def precision_at_10(labels: Labels, rows: np.ndarray, cause: np.ndarray) -> float:
    """Share of the ten most central members that have the cause, in the group that holds it best; mean over causes."""
    found = []
    for name in sorted(set(cause.tolist()) - {NATURAL}):
        groups = [np.flatnonzero(labels == group) for group in np.unique(labels[labels > 0])]
        groups = [group for group in groups if len(group) >= 3]
        if not groups:
            return 0.0
        best = max(groups, key=lambda group: (cause[group] == name).mean() * min(1, len(group) / 10))
        away = np.linalg.norm(rows[best] - rows[best].mean(axis=0), axis=1)
        found.append((cause[best[np.argsort(away, kind="stable")[:10]]] == name).mean())
    return float(np.mean(found))


def cells(kind: Kind, seed: int) -> list[dict[str, Any]]:
    """Return a row of measures for every method on one problem."""
    problem = field_problem(kind, seed)
    source, found = Source(problem), []
    for name, (labels, rows, seconds) in methods(source).items():
        measured = quality(labels, problem.cause, problem.rare or ("",)).to_dict()
        if not problem.rare:
            measured["rare_coverage"] = float("nan")
        measured |= {"precision_at_10": round(precision_at_10(labels, rows, problem.cause), 4)}
        found.append(
            {"case": kind.name, "seed": seed, "method": name, "seconds": round(seconds, 3), **measured}
        )
    about = {"failures": len(problem.label), "accuracy": round(problem.accuracy, 4), "causes": source.flagged}
    about |= {
        "natural": int((problem.cause == NATURAL).sum()),
        "contaminated": round(problem.contaminated, 3),
    }
    found[0] |= about
    return found


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, then cases; paired tests of the default's AMI and precision@10 over all problems."""
    names, cases = dict.fromkeys(row["method"] for row in rows), dict.fromkeys(row["case"] for row in rows)

    def mean(name: str, measure: str) -> float:
        by_case = [
            np.mean([row[measure] for row in rows if row["method"] == name and row["case"] == case])
            for case in cases
        ]
        return round(float(np.nanmean(by_case)), 4)

    def of_case(name: str, case: str) -> dict[str, float]:
        mine = [row for row in rows if row["method"] == name and row["case"] == case]
        return {measure: round(float(np.mean([row[measure] for row in mine])), 4) for measure in SHOWN}

    def paired(name: str, measure: str) -> dict[str, float]:
        one, other = ([row[measure] for row in rows if row["method"] == which] for which in (DEFAULT, name))
        gained = np.array(one) - np.array(other)
        p = float(wilcoxon(gained).pvalue) if len(gained) > 5 and gained.any() else float("nan")
        return {"gain": round(float(gained.mean()), 4), "p": p}

    flagged = [cause for row in rows for cause in row.get("causes", ())]
    natural = [cause for cause in flagged if cause["natural"] > 0.5]
    injected = [cause for cause in flagged if cause["natural"] <= 0.5]
    return {
        "table": [{"method": name, **{measure: mean(name, measure) for measure in SHOWN}} for name in names],
        "by_case": {
            case: {name: of_case(name, case) for name in (DEFAULT, f"{DEFAULT}, clusters", "moments")}
            for case in cases
        },
        "default_against": {
            name: {measure: paired(name, measure) for measure in ("information", "precision_at_10")}
            for name in names
            if name != DEFAULT and not name.endswith("clusters")
        },
        "marked_without_common_cause": {
            "of_natural": [sum(not cause["common"] for cause in natural), len(natural)],
            "of_injected": [sum(not cause["common"] for cause in injected), len(injected)],
        },
    }


def main() -> None:
    """Run every problem that is not in the cache, and write the table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument(
        "--cache", type=Path, help="file of finished problems, a line each, so that a run goes on"
    )
    options.add_argument("--case", choices=KINDS, action="append")
    options.add_argument("--seed", type=int, action="append")
    options.add_argument("--out", type=Path, default=harness.RESULTS / "causes-field-third.json")
    options.add_argument(
        "--finished", action="store_true", help="summarise what the cache holds, and run nothing"
    )
    chosen = options.parse_args()
    torch.set_num_threads(1)
    kinds = [KINDS[name] for name in chosen.case or KINDS]
    done: dict[tuple[str, int], list[dict[str, Any]]] = {}
    if chosen.cache and chosen.cache.exists():
        for line in chosen.cache.read_text().splitlines():
            rows = json.loads(line)
            done[rows[0]["case"], rows[0]["seed"]] = rows
    record: dict[str, Any] = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "numpy", "scikit-learn", "umap-learn", "mlxtend", "hudd"),
    }
    for seed in chosen.seed or SEEDS:
        for kind in kinds:
            if kind.needs is not None and not kind.needs.exists():
                print(f"case {kind.name} left out: its images are not here")
            elif (kind.name, seed) not in done and not chosen.finished:
                done[kind.name, seed] = cells(kind, seed)
                if chosen.cache:
                    with chosen.cache.open("a") as file:
                        file.write(json.dumps(done[kind.name, seed]) + "\n")
                print(f"{kind.name}, seed {seed}", flush=True)
    wanted = [
        rows
        for (case, seed), rows in done.items()
        if case in {kind.name for kind in kinds} and seed in (chosen.seed or SEEDS)
    ]
    record |= {"problems": sorted(f"{rows[0]['case']}, seed {rows[0]['seed']}" for rows in wanted)}
    record |= summarise([row for rows in wanted for row in rows])
    columns = {row["method"]: [row[measure] for measure in SHOWN] for row in record["table"]}
    harness.table(f"{len(wanted)} problems", SHOWN, columns)
    record["cells"] = [row for rows in wanted for row in rows]
    harness.write(chosen.out, json.loads(json.dumps(record), parse_constant=lambda _: None))  # NaN is no JSON


if __name__ == "__main__":
    main()
