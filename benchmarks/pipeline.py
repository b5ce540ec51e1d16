"""The heatmap stage of a study: decoding, relevance and writing apart, then together; memory; two processes.

The DNN is that of examples/gtsrb, the images are drawn from one field of noise as they are asked for, and nearly all of
them are errors: what a large run does, without its data.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import harness
import numpy as np
import torch
from torch import nn

from hudd.data import ImageSource, Transform
from hudd.data.loader import loaded_ahead
from hudd.retraining import save_weights
from hudd.store import ShardSet
from hudd.store.encoding import FileImage
from hudd.study import Study
from hudd.study.steps import heatmaps

_IMAGES = "HUDD_BENCH_IMAGES"  # the factory takes no argument


class Noise(ImageSource):
    """Windows of 45x45 pixels on a field of noise, all labelled with one class."""

    def __init__(self, count: int) -> None:
        super().__init__(
            [f"noise/{i:07d}" for i in range(count)], np.zeros(count), [str(c) for c in range(43)]
        )
        self.field = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)

    def pixels(self, index: int) -> np.ndarray:
        row, column = divmod(index * 7919 % 409_600, 640)
        return self.field[row : row + 45, column : column + 45]

    def load(self, indices: Iterable[int]) -> torch.Tensor:
        assert isinstance(self.transform, Transform)
        return self.transform.many(np.stack([self.pixels(int(index)) for index in indices]))

    def contents(self) -> Iterator[bytes]:
        yield self.field.tobytes()


def images() -> Noise:
    return Noise(int(os.environ[_IMAGES]))


def cnn45() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 43),
    )  # fmt: skip


cnn45.transform = Transform(resize=(45, 45), scale=1.0, grayscale=False)
cnn45.strip_prefix = "linear_relu_stack."


class Nowhere(ShardSet):
    """Shards that are filled and forgotten in place of being written."""

    def save(self, start: int, image: FileImage) -> None:
        return


class Memory(threading.Thread):
    """Resident memory of this process, twice a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: list[int] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.5):
            self.samples.append(harness.memory("VmRSS") >> 20)

    def tenths(self) -> list[int]:
        """Largest value in each tenth of the time, MiB."""
        self.ended.set()
        return [int(part.max()) for part in np.array_split(np.array(self.samples), 10) if len(part)]


def _make(folder: Path, chosen: argparse.Namespace) -> Path:
    """Make a study of as many images as wanted, tested."""
    os.environ[_IMAGES] = str(chosen.images)
    if chosen.weights is None:
        torch.manual_seed(0)
        save_weights(cnn45(), folder / "weights.safetensors")
    weights = str(chosen.weights or folder / "weights.safetensors")
    here = Path(__file__).resolve()
    study = Study.create(
        folder / "study",
        model=f"{here}:cnn45",
        weights=weights,
        test=f"{here}:images",
        batch_size=chosen.batch_size,
    )
    return study.test().path


def _rate(count: int, work: Any) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def _apart(study: Study, count: int) -> dict[str, float]:
    """Images a second of each stage run alone, and of the stream without storage."""
    heatmaps.run(Study.open(study.path).configure(store="none"))
    study = Study.open(study.path).configure(store="all")
    errors, source, lrp = study.errors[:count], study.source("test"), study.lrp(study.layers)
    size, prediction = study.settings.batch_size, study.split("test").prediction
    parts = [errors[at : at + size] for at in range(0, len(errors), size)]
    batch, target = source.load(parts[0]), prediction[parts[0]]
    heatmaps._explained(study, lrp, batch, target)

    shards = heatmaps._shards(study, "bench", study.layers)
    arrays = heatmaps._explained(study, lrp, batch, target)
    rows = np.arange(shards.rows_per_shard) % len(target)
    shard = {name: array[rows] for name, array in arrays.items()}
    ranges = shards.ranges()[: max(1, len(errors) // shards.rows_per_shard)]
    rows_in_all = ranges[-1][1]
    nowhere = Nowhere(shards.directory, shards.rows, shards.rows_per_shard, shards.fingerprint)

    def write() -> None:
        with shards.written_behind() as writing:
            for number in range(min(16, len(ranges) - 1) or 1):
                for name, rows in writing.begin(number * shards.rows_per_shard, shard).items():
                    rows[...] = shard[name]
                writing.end()

    written = (min(16, len(ranges) - 1) or 1) * shards.rows_per_shard
    rates = {
        "decode": _rate(len(errors), lambda: [None for _ in loaded_ahead(source, parts)]),
        "relevance": _rate(
            len(errors),
            lambda: [heatmaps._explained(study, lrp, batch[: len(p)], target[: len(p)]) for p in parts],
        ),
        "write": _rate(written, write),
        "together, not stored": _rate(rows_in_all, lambda: heatmaps._stream(study, nowhere, lrp, ranges)),
    }
    shutil.rmtree(shards.directory.parent)
    return rates


def _stored(study: Study) -> dict[str, Any]:
    """The heatmap step itself, resumed where it was interrupted, with its memory."""
    started, memory = time.perf_counter(), Memory()
    harness.forget_peak()
    memory.start()
    count = len(study.errors)
    study.heatmaps()
    seconds = time.perf_counter() - started
    size = sum(file.stat().st_size for file in (study.path / "shards").rglob("*.h5"))
    return {
        "errors": count,
        "seconds": round(seconds, 2),
        "together, stored": count / seconds,
        "bytes_an_image": round(size / count),
        "peak_memory_mib": harness.memory("VmHWM") >> 20,
        "memory_by_tenth_of_the_time_mib": memory.tenths(),
    }


def _processes(path: Path) -> dict[str, float]:
    """Seconds of the heatmap step by one process with two threads and by two with one, each forced anew."""
    found = {}
    one = [sys.executable, "-m"]
    two = [*one, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    for name, command, threads in (
        ("one process, 2 threads", one, "2"),
        ("two processes, 1 thread", two, "1"),
    ):
        Study.open(path).force("heatmaps")
        environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run(
            [*command, "hudd", "heatmaps", str(path)], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        found[name] = Study.open(path).provenance["steps"]["heatmaps"]["seconds"]
        found[f"{name}, checksum"] = _checksum(path)
    return found


def _checksum(path: Path) -> int:
    """A number of all shards' own checksums."""
    headers = [
        json.loads(file.read_bytes()[:512]) for file in sorted((path / "shards" / "heatmaps").rglob("0*.h5"))
    ]
    return hash(tuple(int(header["xxh3_128"], 16) for header in headers))


def main() -> None:
    """Measure and write the table."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "pipeline")
    options.add_argument("--images", type=int, default=20_000)
    options.add_argument("--batch-size", type=int, default=128)
    options.add_argument("--weights", type=Path, help="of the GTSRB net; random ones by default")
    options.add_argument("--only", choices=("stages", "processes"), help="one half of the measurements")
    chosen = harness.parse(options, images=3_000)
    record: dict[str, Any] = {
        "machine": harness.machine(),
        "versions": harness.versions("torch", "h5py", "hudd"),
        "threads": torch.get_num_threads(),
        "images": chosen.images,
        "batch_size": chosen.batch_size,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = _make(folder, chosen)
        if chosen.only != "processes":
            rates = _apart(Study.open(path), min(chosen.images, 20_000))
            record |= _stored(Study.open(path))
            rates["together, stored"] = record.pop("together, stored")
            apart = sum(1 / rates[stage] for stage in ("decode", "relevance", "write"))
            record["images_per_second"] = {stage: round(rate, 1) for stage, rate in rates.items()}
            record["stored_over_not_stored"] = round(
                rates["together, stored"] / rates["together, not stored"], 3
            )
            record["together_over_the_sum_apart"] = round(rates["together, stored"] * apart, 3)
            harness.table("heatmaps", ["images/s"], {stage: [rate] for stage, rate in rates.items()})
        if chosen.only != "stages":
            found = _processes(path)
            seconds = {key: value for key, value in found.items() if "checksum" not in key}
            record["processes"] = seconds
            one, two = seconds.values()
            record["two_over_one"] = round(two / one, 3)
            record["same_shards"] = len({value for key, value in found.items() if "checksum" in key}) == 1
    print(json.dumps({k: v for k, v in record.items() if k not in ("machine", "versions")}, indent=1))
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
