"""Every column of docs/equality.md, on a small study; the table there is that of the record."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hudd.study import Study

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def equality():
    """The benchmark, as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import equality

        yield equality
    finally:
        sys.path.remove(str(BENCHMARKS))


def differences(equality, finished, other, variation):
    found = equality.compare(finished.path, other)
    assert not equality.broken_promises(variation, found)
    return found


@pytest.mark.parametrize("variation", ["again", "threads", "workers", "batch"])
def test_what_stays_equal_in_one_process(equality, finished, material, tmp_path, monkeypatch, variation):
    how = equality.VARIATIONS[variation]
    threads = torch.get_num_threads()
    for name, value in how.environment.items():
        monkeypatch.setenv(name, value)
    torch.set_num_threads(int(how.environment.get("OMP_NUM_THREADS", threads)))
    try:
        other = Study.create(tmp_path / "other", **material, **how.settings).run()
    finally:
        torch.set_num_threads(threads)
    differences(equality, finished, other.path, variation)


@pytest.mark.slow
@pytest.mark.parametrize("variation", ["processes", "instructions"])
def test_what_stays_equal_in_other_processes(equality, finished, material, tmp_path, variation):
    how = equality.VARIATIONS[variation]
    compiled = {name: value for name, value in how.environment.items() if not name.startswith("NUMBA")}
    if variation == "instructions":
        from hudd import _core

        if "avx2" not in _core.build_info()["instruction_sets"]:
            pytest.skip("this processor has no AVX2")
    equality.compute(
        tmp_path / "other", material, equality.Variation(how.title, how.settings, compiled, how.processes)
    )
    differences(equality, finished, tmp_path / "other", variation)


def test_a_retraining_by_other_threads_is_one_of_the_same_distribution(material, tmp_path):
    """The mean accuracy of five runs differs by no more than those of five seeds do."""
    found, before = {}, torch.get_num_threads()
    study = Study.create(tmp_path / "study", **material, runs=5).select()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            study.force("retrain").retrain()
            found[threads] = np.array([run["accuracy_after"] for run in study.retraining["hudd"]])
    finally:
        torch.set_num_threads(before)
    spread = np.sqrt(sum(np.var(runs, ddof=1) / len(runs) for runs in found.values()))
    assert abs(found[1].mean() - found[2].mean()) <= 4 * spread + 0.01


def test_a_broken_promise_is_found(equality):
    same, apart = {"differ": 0.0, "largest": 0.0}, {"differ": 0.1, "largest": 1e-3}
    assert not equality.broken_promises(
        "batch", {"clusters, causes": same, "distances": {"differ": 1, "largest": 1e-6}}
    )
    assert len(equality.broken_promises("batch", {"clusters, causes": apart, "distances": apart})) == 2
    assert equality.broken_promises("workers", {"losses of the retraining": apart})
    assert not equality.broken_promises("threads", {"losses of the retraining": apart})


def test_the_page_shows_the_record(equality):
    record = json.loads((BENCHMARKS / "results" / "equality.json").read_text())
    assert equality.table(record) in equality.PAGE.read_text()
    for variations in record["differences"].values():
        assert variations.keys() == equality.VARIATIONS.keys()
        for name, found in variations.items():
            assert not equality.broken_promises(name, found)
