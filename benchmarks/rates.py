"""Failure rates of causes on simulated studies whose true rates are known: what the 95 % intervals cover.

A study has images with six parameters. Three of these have a range in which images fail more often than elsewhere; how
often is drawn study by study. Errors are grouped by their range, a tenth of them wrongly, as clusters would be; the
rest are a group of their own. The true rate of a rule's region is that of 200,000 further images. As many studies have
no range that fails more often, and random groups. The rate on the images that chose the rule is the baseline.
"""

from __future__ import annotations

from typing import Any

import harness
import numpy as np

from hudd.evaluation import SIGNIFICANT, Rule, cluster_rules, cross_fitted_rates, wilson

NAMES = ("light", "blur", "noise", "size", "angle", "age")
BASE = 0.06  # share of failures elsewhere
FRESH = 200_000


def draw(count: int, rates: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Images, and the probability with which each fails: that of the first range that it lies in."""
    table = {name: rng.random(count) for name in NAMES}
    inside = [table["light"] < 0.12, table["blur"] > 0.9, np.abs(table["noise"] - 0.5) < 0.05]
    return table, np.select(inside, list(rates), BASE)


def simulate(seed: int, images: int, null: bool) -> list[dict[str, Any]]:
    """One study: the rule of every group that has one, its rate by both ways of counting and the true one."""
    rng = np.random.default_rng(seed)
    rates = np.full(3, BASE) if null else rng.uniform(0.2, 0.7, 3)
    table, chance = draw(images, rates, rng)
    failed = rng.random(images) < chance
    group = 4 - np.select([chance == rate for rate in rates], [3, 2, 1], 0)
    wrongly = rng.random(images) < (1.0 if null else 0.1)
    labels = np.where(failed, np.where(wrongly, rng.integers(1, 5, images), group), 0)

    def find(among: np.ndarray) -> list[Rule]:
        rows = np.flatnonzero(among)
        columns = {name: values[rows] for name, values in table.items()}
        return cluster_rules(columns, labels[rows], failed=failed[rows], seed=seed)

    def fitting(among: np.ndarray) -> dict[int, np.ndarray]:
        told = [rule for rule in find(among) if rule.text and rule.p_value <= SIGNIFICANT]
        return {rule.cluster: rule.region.holds(table, images) for rule in told}

    confirming = {rate.group: rate for rate in cross_fitted_rates(fitting, failed, seed=seed)}
    fresh, fresh_chance = draw(FRESH, rates, np.random.default_rng([seed, 1]))
    found = []
    for rule in find(np.ones(images, bool)):
        if rule.cluster in confirming and rule.p_value <= SIGNIFICANT:
            rate = confirming[rule.cluster]
            true = float(fresh_chance[rule.region.holds(fresh, FRESH)].mean())
            (low, high), chosen = rate.interval, wilson(rule.failures, rule.images)
            found.append(
                {
                    "rule": rule.text,
                    "true": true,
                    "rate": rate.rate,
                    "confirmed": rate.confirmed,
                    "covered": low <= true <= high,
                    "rate_where_chosen": rule.failures / rule.images,
                    "covered_where_chosen": chosen[0] <= true <= chosen[1],
                }
            )
    return found


def main() -> None:
    """Simulate, count and write."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "rates")
    options.add_argument("--studies", type=int, default=200, help="with causes, and as many without any")
    options.add_argument("--images", type=int, default=3000, help="test images of a study")
    chosen = options.parse_args()
    record: dict[str, Any] = {
        "machine": harness.machine(),
        "versions": harness.versions("numpy", "scipy", "hudd"),
        "studies": chosen.studies,
        "images": chosen.images,
    }
    causes = [one for seed in range(chosen.studies) for one in simulate(seed, chosen.images, null=False)]
    null = [simulate(10_000 + seed, chosen.images, null=True) for seed in range(chosen.studies)]
    told = [one for one in causes if one["confirmed"]]
    record |= {
        "causes_confirmed": len(told),
        "causes_in_all": 3 * chosen.studies,
        "covered": float(np.mean([one["covered"] for one in told])),
        "mean_error": float(np.mean([one["rate"] - one["true"] for one in told])),
        "covered_where_chosen": float(np.mean([one["covered_where_chosen"] for one in told])),
        "mean_error_where_chosen": float(np.mean([one["rate_where_chosen"] - one["true"] for one in told])),
        "null_studies_with_a_confirmed_cause": float(
            np.mean([any(one["confirmed"] for one in study) for study in null])
        ),
    }
    for name, value in record.items():
        if name not in ("machine", "versions"):
            print(f"{name:36} {value:.4g}")
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
