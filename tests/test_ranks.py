"""Two processes train to the weights of one."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hudd.ranks import Ranks

SCRIPT = """
import os, sys
from pathlib import Path
import numpy as np, torch
import torch.distributed as dist
from hudd.retraining import TrainingConfig, fit

torch.set_num_threads(1)
if "RANK" in os.environ:
    dist.init_process_group("gloo")
rng = np.random.default_rng(0)
images, labels = rng.normal(size=(101, 6)).astype("f4"), rng.integers(0, 3, 101)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
config = TrainingConfig(epochs=3, batch_size=25, lr=0.1, holdout=0.1, freeze=("0.bias",))
result = fit(model, images, labels, config, seed=0, checkpoint=sys.argv[1] + ".pt")
if not dist.is_initialized() or dist.get_rank() == 0:
    torch.save({"weights": model.state_dict(), "loss": [e["loss"] for e in result.history]}, sys.argv[1])
if dist.is_initialized():
    dist.barrier()  # nobody takes the group down while another one still uses it
    dist.destroy_process_group()
    # threads of the group that outlive it may abort the interpreter at its end (listed on Linux only)
    left = [name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in left if "gloo" in name], left
"""


@given(st.integers(1, 30), st.integers(1, 8))
def test_shares_make_up_the_batch(size, world):
    batch = np.arange(size)
    shares = [Ranks(rank, world).share(batch) for rank in range(world)]
    means = sum(weight * rows.mean() for rows, weight in shares) / world
    assert means == pytest.approx(batch.mean())
    taken = np.concatenate([rows for rows, weight in shares if weight])
    assert sorted(taken.tolist()) == batch.tolist()


def in_two_processes(script, argument):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *torchrun, str(script), str(argument)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", ["train", str(tmp_path / "one")])
    runpy.run_path(str(script))
    torch.set_num_threads(threads)
    in_two_processes(script, tmp_path / "two")
    one, two = (torch.load(tmp_path / name, weights_only=True) for name in ("one", "two"))
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-5)
    for name, weight in one["weights"].items():
        torch.testing.assert_close(weight, two["weights"][name], rtol=1e-4, atol=1e-5)
    assert (tmp_path / "two.pt").is_file()


LATE = """
import sys, time
from pathlib import Path
import torch.distributed as dist
from hudd.ranks import Ranks

dist.init_process_group("gloo")
ranks, file = Ranks.current(), Path(sys.argv[1])
for turn in range(2):
    time.sleep(0.5 * ranks.rank)  # the second comes late to see what there is
    if not file.with_suffix(f".{turn}").exists():
        ranks.lead(file.with_suffix(f".{turn}").touch)
ranks.wait()
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_a_process_that_is_late_goes_the_way_of_the_first(tmp_path):
    script = tmp_path / "late.py"
    script.write_text(LATE)
    in_two_processes(script, tmp_path / "done")
    assert {path.suffix for path in tmp_path.glob("done.*")} == {".0", ".1"}
