"""The heatmap stage of a study: decoding, relevance and writing apart, then together; memory; two processes.

The DNN is that of examples/gtsrb, the images are drawn from one field of noise as they are asked for, and nearly all of
them are errors: what a large run does, without its data. What is stored is compared with what is not in turns, on the
disk and, where there is one, in a file system in memory.
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
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # as the command line sets it, before torch is loaded

import harness
import numpy as np
import torch
from torch import nn

from hudd.data import ImageSource, Transform
from hudd.data.loader import loaded_ahead
from hudd.retraining import save_weights
from hudd.store import ShardSet
from hudd.store.encoding import FileImage
from hudd.store.files import write_whole
from hudd.study import Study
from hudd.study.steps import heatmaps

PARTS = ("stages", "long", "processes")
_MEMORY = Path("/dev/shm")  # a file system in memory
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


def _make(folder: Path, count: int, chosen: argparse.Namespace) -> Path:
    """Make a study of as many images as wanted, tested."""
    os.environ[_IMAGES] = str(count)
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
        preset="hudd",
        batch_size=chosen.batch_size,
    )
    return study.test().path


def child_stages(path: Path, repeats: int) -> dict[str, Any]:
    """Images a second of each stage run alone and of the stream, stored and not, in turns."""
    Study.open(path).configure(store="none").heatmaps()  # describes the layers
    study = Study.open(path).configure(store="all")
    errors, source, lrp = study.errors, study.source("test"), study.inputs.lrp(study.layers)
    size, prediction = study.settings.batch_size, study.split("test").prediction
    parts = [errors[at : at + size] for at in range(0, len(errors), size)]
    batch, target = source.load(parts[0]), prediction[parts[0]]
    shards = heatmaps._shards(study.inputs, study.journal, "bench", study.layers)
    nowhere = Nowhere(shards.directory, shards.rows, shards.rows_per_shard, shards.fingerprint)
    arrays = heatmaps._explained(study.inputs, lrp, batch, target)
    rows = np.arange(shards.rows_per_shard) % len(target)
    shard = {name: array[rows] for name, array in arrays.items()}
    ranges = shards.ranges()[: max(1, len(errors) // shards.rows_per_shard)]  # whole ones

    def write() -> None:
        with shards.written_behind() as writing:
            for start, _ in ranges:
                for name, room in writing.begin(start, shard).items():
                    room[...] = shard[name]
                writing.end()

    def stream(into: ShardSet) -> Callable[[], None]:
        return lambda: heatmaps._stream(study.inputs, into, lrp, ranges)

    stages = {
        "decode": lambda: [None for _ in loaded_ahead(source.load, parts)],
        "relevance": lambda: [
            heatmaps._explained(study.inputs, lrp, batch[: len(p)], target[: len(p)]) for p in parts
        ],
        "write": write,
        "together, not stored": stream(nowhere),
        "together, stored": stream(shards),
    }
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for turn in range(repeats + 1):
        for name, work in stages.items():
            started = time.perf_counter()
            work()
            if turn:
                seconds[name].append(time.perf_counter() - started)
            shutil.rmtree(shards.directory.parent, ignore_errors=True)
    found = {name: ranges[-1][1] / median(taken) for name, taken in seconds.items()}
    ratios = [a / b for a, b in zip(seconds["together, not stored"], seconds["together, stored"])]
    apart = sum(1 / found[stage] for stage in ("decode", "relevance", "write"))
    return {
        "images_per_second": {name: round(rate, 1) for name, rate in found.items()},
        "stored_over_not_stored": round(median(ratios), 3),
        "stored_over_not_stored_by_turn": [round(ratio, 3) for ratio in ratios],
        "together_over_the_sum_apart": round(found["together, stored"] * apart, 3),
    }


def child_step(path: Path) -> dict[str, Any]:
    """The heatmap step itself, as ``hudd heatmaps`` takes it, with its memory."""
    study, memory = Study.open(path), Memory()
    started, count = time.perf_counter(), len(study.errors)
    memory.start()
    study.heatmaps()
    seconds = time.perf_counter() - started
    size = sum(file.stat().st_size for file in (path / "shards").rglob("*.h5"))
    return {
        "errors": count,
        "seconds": round(seconds, 2),
        "images_per_second": round(count / seconds, 1),
        "bytes_an_image": round(size / count),
        "peak_memory_mib": harness.memory("VmHWM") >> 20,
        "memory_by_tenth_of_the_time_mib": memory.tenths(),
    }


def stages(chosen: argparse.Namespace) -> dict[str, Any]:
    """Stages and stream on the disk and in memory, and what the disk can do."""
    found: dict[str, Any] = {"images": chosen.images, "batch_size": chosen.batch_size}
    places = {"disk": Path(tempfile.gettempdir()), "memory": _MEMORY}
    for name, place in places.items():
        if not os.access(place, os.W_OK):
            continue
        with tempfile.TemporaryDirectory(dir=place) as folder:
            path = _make(Path(folder), chosen.images, chosen)
            found[name] = {
                "bytes_per_second": _writing(Path(folder)),
                **harness.child(__file__, "stages", path, chosen.repeats),
            }
        rates = found[name]["images_per_second"]
        harness.table(f"heatmaps, {name}", ["images/s"], {stage: [rate] for stage, rate in rates.items()})
        print(f"  stored over not stored: {found[name]['stored_over_not_stored']}")
    return found


def long(chosen: argparse.Namespace) -> dict[str, Any]:
    """The heatmap step of a long run."""
    with tempfile.TemporaryDirectory() as folder:
        path = _make(Path(folder), chosen.long, chosen)
        found = harness.child(__file__, "step", path)
    print(
        f"\n{found['errors']:,} errors: {found['images_per_second']:,} images/s, {found['peak_memory_mib']} MiB"
    )
    return found


def processes(chosen: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the heatmap step by one process with two threads and by two with one, each forced again."""
    seconds: dict[str, list[float]] = {"one process, 2 threads": [], "two processes, 1 thread": []}
    shards = set()
    one = [sys.executable, "-m"]
    two = [*one, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    with tempfile.TemporaryDirectory() as folder:
        path = _make(Path(folder), chosen.images, chosen)
        for _ in range(max(1, chosen.repeats // 2)):
            for name, command, threads in zip(seconds, (one, two), ("2", "1")):
                Study.open(path).force("heatmaps")
                environment = os.environ | {
                    "OMP_NUM_THREADS": threads,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                }
                command = [*command, "hudd", "heatmaps", str(path)]
                subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
                seconds[name].append(Study.open(path).provenance["steps"]["heatmaps"]["seconds"])
                shards.add(_checksums(path))
    first, second = map(min, seconds.values())
    found = {
        "images": chosen.images,
        "seconds": {name: [round(taken, 2) for taken in times] for name, times in seconds.items()},
        "two_over_one": round(second / first, 3),
        "same_shards": len(shards) == 1,
    }
    print(f"\ntwo processes over one: {found['two_over_one']}, same shards: {found['same_shards']}")
    return found


def _checksums(path: Path) -> tuple[str, ...]:
    """The shards' own checksums, in order."""
    files = sorted((path / "shards" / "heatmaps").rglob("0*.h5"))
    return tuple(json.loads(file.read_bytes()[:512])["xxh3_128"] for file in files)


def _writing(folder: Path) -> dict[str, int]:
    """Bytes a second that go to disk, flushed: as shards are written, and through the page cache."""
    image = FileImage((("rows", "<f4", (8 << 20,)),))
    image.arrays["rows"][...] = 1
    (content, size), count = image.encoded(), 32

    def cached(path: Path) -> None:
        with path.open("wb") as file:
            file.write(content[:size])
            file.flush()
            os.fsync(file.fileno())

    rates = {}
    for name, write in {
        "shards": lambda path: write_whole(path, content, size),
        "page cache": cached,
    }.items():
        started = time.perf_counter()
        for number in range(count):
            write(folder / f"{number}.bin")
        rates[name] = round(count * size / (time.perf_counter() - started))
        for number in range(count):
            (folder / f"{number}.bin").unlink()
    return rates


def main() -> None:
    """Measure the parts asked for and write the table."""
    if sys.argv[1:2] == ["--child"]:
        path = Path(sys.argv[3])
        print(json.dumps(child_step(path) if sys.argv[2] == "step" else child_stages(path, int(sys.argv[4]))))
        return
    options = harness.parser((__doc__ or "").partition("\n")[0], "pipeline")
    options.add_argument("--images", type=int, default=16_000, help="of stages and processes")
    options.add_argument("--long", type=int, default=200_000, help="of the long run, 114 kB on the disk each")
    options.add_argument("--batch-size", type=int, default=128)
    options.add_argument("--weights", type=Path, help="of the GTSRB net; random ones by default")
    options.add_argument("--part", choices=PARTS, action="append")
    chosen = harness.parse(options, repeats=2, images=3_000, long=6_000)
    record = json.loads(chosen.out.read_text()) if chosen.out.exists() and chosen.part else {}
    record |= {"versions": harness.versions("torch", "h5py", "hudd"), "repeats": chosen.repeats}
    for part in chosen.part or PARTS:
        machine = {**harness.machine(), "threads": torch.get_num_threads()}
        record[part] = {
            "machine": machine,
            "figures": {"stages": stages, "long": long, "processes": processes}[part](chosen),
        }
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
