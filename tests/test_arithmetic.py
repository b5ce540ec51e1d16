"""Contractions in the arithmetic asked for, and torch's settings as they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

import hudd
from hudd.arithmetic import ARITHMETICS, contracting
from hudd.settings import StudySettings

backends = torch.backends
NEWER = hasattr(backends, "fp32_precision")


def read() -> dict[str, object]:
    """Torch's settings of both generations; some cannot be read where others contradict them."""
    readers = {
        "matmul": torch.get_float32_matmul_precision,
        "cublas": lambda: backends.cuda.matmul.allow_tf32,
        "cudnn": lambda: backends.cudnn.allow_tf32,
    }
    if NEWER:
        owners = {"cublas": backends.cuda.matmul, "convolution": backends.cudnn.conv, "rnn": backends.cudnn.rnn,
                  "onednn matmul": backends.mkldnn.matmul, "onednn convolution": backends.mkldnn.conv,
                  "all": backends, "all of cudnn": backends.cudnn}  # fmt: skip
        readers |= {f"new {name}": lambda owner=owner: owner.fp32_precision for name, owner in owners.items()}
    found = {}
    for name, reader in readers.items():
        try:
            found[name] = reader()
        except RuntimeError:
            found[name] = "contradicted"
    return found


def arithmetic_now() -> set[object]:
    if not NEWER:
        return {torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32}
    return {
        owner.fp32_precision for owner in (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.conv)
    }


FLOAT32, TF32 = ({"ieee"}, {"tf32"}) if NEWER else ({"highest", False}, {"high", True})


@pytest.fixture
def settings() -> Iterator[None]:
    """Leave torch's settings as they were; the newer ones last, which are what counts."""
    owners = (backends, backends.cudnn, backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn,
              backends.mkldnn.matmul, backends.mkldnn.conv) if NEWER else ()  # fmt: skip
    before, older = [owner.fp32_precision for owner in owners], backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = older
    for owner, value in zip(owners, before):
        owner.fp32_precision = value


CHOICES = {
    "as torch comes": lambda: None,
    "TF32 by the older switch": lambda: setattr(backends.cuda.matmul, "allow_tf32", True),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "no TF32 in cuDNN": lambda: setattr(backends.cudnn, "allow_tf32", False),
}
if NEWER:
    CHOICES |= {
        "TF32 everywhere": lambda: setattr(backends, "fp32_precision", "tf32"),
        "bfloat16 in oneDNN": lambda: setattr(backends.mkldnn.matmul, "fp32_precision", "bf16"),
        "IEEE in convolutions": lambda: setattr(backends.cudnn.conv, "fp32_precision", "ieee"),
        "IEEE in cuDNN": lambda: setattr(backends.cudnn, "fp32_precision", "ieee"),
    }


@pytest.mark.parametrize("choice", CHOICES)
def test_a_process_is_left_as_it_was(choice, settings):
    CHOICES[choice]()
    before = read()
    with contracting("float32"):
        assert arithmetic_now() == FLOAT32
        with contracting("tf32"):
            assert arithmetic_now() == TF32
        assert arithmetic_now() == FLOAT32
    assert read() == before
    with pytest.raises(ZeroDivisionError), contracting("tf32"):
        1 / 0  # noqa: B018
    assert read() == before


def test_the_engine_computes_in_float32_unless_told_otherwise(settings):
    seen = []

    class Watched(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)

        def forward(self, x):
            return self.layer(x)

    torch.set_float32_matmul_precision("medium")
    for precision in ("float32", "float16", "tf32"):
        lrp = hudd.LRP(Watched(), precision=precision)
        lrp.attribute(torch.ones(2, 4), lambda output: (seen.append(arithmetic_now()), output)[1])
    assert seen == [FLOAT32, FLOAT32, TF32]
    assert torch.get_float32_matmul_precision() == "medium"


def test_threads_of_one_arithmetic_compute_together_and_others_wait(settings):
    inside, leave, entered = threading.Barrier(3), threading.Event(), threading.Event()
    seen = []

    def together():
        with contracting("tf32"):
            inside.wait(10)
            leave.wait(10)
            seen.append(("tf32", arithmetic_now()))

    def other():
        entered.set()
        with contracting("float32"):
            seen.append(("float32", arithmetic_now()))

    before = read()
    threads = [threading.Thread(target=together) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    threads.append(threading.Thread(target=other))
    threads[-1].start()
    entered.wait(10)
    leave.set()
    for thread in threads:
        thread.join(10)
    assert seen == [("tf32", TF32), ("tf32", TF32), ("float32", FLOAT32)]
    assert read() == before


def test_another_arithmetic_within_one_is_refused_while_threads_compute(settings):
    inside, leave = threading.Event(), threading.Event()

    def compute():
        with contracting("float32"):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=compute)
    thread.start()
    inside.wait(10)
    with (
        contracting("float32"),
        pytest.raises(RuntimeError, match="other threads compute in float32"),
        contracting("tf32"),
    ):
        pass
    leave.set()
    thread.join(10)


def rounded(array):
    return torch.from_numpy(array).bfloat16().double().numpy()


def test_bfloat16_rounds_factors_and_sums_of_contractions_alone():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 7)).astype("f4"), rng.normal(size=(7, 3)).astype("f4")
    with contracting("bfloat16"):
        product = torch.from_numpy(a) @ torch.from_numpy(b)
        tripled = torch.from_numpy(a) * 3
    assert product.dtype == torch.float32
    exact = rounded(a) @ rounded(b)
    np.testing.assert_allclose(
        product.numpy(), exact, rtol=2**-8, atol=1e-6
    )  # a sum of few terms, rounded once
    assert (product == product.bfloat16().float()).all()
    np.testing.assert_array_equal(tripled.numpy(), a * np.float32(3))


@pytest.mark.slow
@pytest.mark.parametrize("rules", ["epsilon", "epsilon-plus", "epsilon-gamma"])
def test_relevance_in_bfloat16_is_that_of_float32_but_for_its_rounding(rules):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 64, 4)
    )
    images = torch.rand(4, 3, 8, 8)
    whole = hudd.LRP(net, rules).attribute(images, 1)
    coarse = hudd.LRP(net, rules, precision="bfloat16", dtype="float32").attribute(images, 1)
    for name, heatmap in whole.layers.items():
        difference = (coarse.layers[name] - heatmap).abs().max() / heatmap.abs().max()
        assert coarse.layers[name].dtype == torch.float32
        assert 0 < difference < 0.1, name


def test_studies_choose_among_all_of_them():
    assert get_args(get_type_hints(StudySettings)["arithmetic"]) == ARITHMETICS


@pytest.mark.slow
def test_storage_is_told_apart_from_arithmetic():
    net, images = (
        torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3)),
        torch.rand(5, 6),
    )
    whole = hudd.LRP(net).attribute(images).layers["2"]
    stored = hudd.LRP(net, dtype="bfloat16").attribute(images).layers["2"]
    assert torch.equal(stored, whole.bfloat16())
    assert hudd.LRP(net, precision="bfloat16").attribute(images).layers["2"].dtype == torch.bfloat16
    assert hudd.LRP(net, precision="tf32").attribute(images).layers["2"].dtype == torch.float32
    with pytest.raises(hudd.UsageError, match="dtype must be one of None, float32, float16, bfloat16"):
        hudd.LRP(net, dtype="int8")
