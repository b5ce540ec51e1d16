"""The test step over a million images in tar archives: memory, rate against decoding alone, kill and resume.

The archives hold a few hundred distinct JPEG files of 64 pixels, again and again under other names. The DNN looks at
every eighth pixel; its weights are fitted to the classes of these files, and a twentieth of the images lie in the
folder of another class than it predicts, so that 5 % are errors. A process of its own takes the test step and notes its
resident memory twice a second; another one is killed when a third of the shards are done, and the one that goes on
counts the images that it reads of shards that were done. "Decoding alone" reads and decodes the same archives with the
same threads, and does nothing with the pixels; "loading alone" also makes of them the DNN's input and the prints that
the step stores of every image. The rate of the step is told while it streams, and over all of its time, in which it
also measures the attributes of a bounded number of images, which are decoded once more for it, and writes the study.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # as the command line sets it, before torch is loaded

import harness
import numpy as np
import torch
from PIL import Image
from torch import nn

from hudd.data import Transform, open_source
from hudd.data.encoded import EncodedSource
from hudd.data.loader import loaded_ahead
from hudd.data.prints import load_with_prints
from hudd.study import Study

SIDE, DISTINCT, CLASSES, PER_ARCHIVE = 64, 256, 10, 10_000
WRONG = 20  # one image in so many is labelled as what the DNN does not predict
BATCH = 128
MEASURED = 20_000  # images that the rates of loading are of
BLOCK = 512
MIB = 1 << 20


class Thin(nn.Module):
    """Every eighth pixel."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Take (n, 3, 64, 64)."""
        return images[:, :, ::8, ::8]


def net() -> nn.Module:
    """Compute next to nothing, for images of 64 pixels and ten classes; fitted to the distinct images."""
    model = nn.Sequential(Thin(), nn.Flatten(), nn.Linear(3 * 64, CLASSES))
    images = Transform().many(np.stack([pixels_of(jpeg(seed)) for seed in range(DISTINCT)]))
    wanted = nn.functional.one_hot(torch.arange(DISTINCT) % CLASSES, CLASSES).double()
    with torch.inference_mode():
        seen = nn.functional.pad(model[:2](images).double(), (0, 1), value=1.0)
        ridge = seen.T @ seen + 1e-3 * torch.eye(seen.shape[1], dtype=torch.float64)
        fitted = 20 * torch.linalg.solve(ridge, seen.T @ wanted).T
        model[2].weight.copy_(fitted[:, :-1])
        model[2].bias.copy_(fitted[:, -1])
    model.transform = Transform()
    model.class_names = [f"{number}" for number in range(CLASSES)]
    return model


def jpeg(seed: int) -> bytes:
    """Draw waves under noise, as a file of some 2 KB."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    waves = np.stack([np.sin((columns + seed) / 9 + c) * np.cos((rows - seed) / 7) for c in range(3)], -1)
    noise = np.random.default_rng(seed).normal(0, 8, waves.shape)
    stream = io.BytesIO()
    Image.fromarray((128 + 100 * waves + noise).clip(0, 255).astype(np.uint8)).save(
        stream, "JPEG", quality=85
    )
    return stream.getvalue()


def pixels_of(content: bytes) -> np.ndarray:
    """Decode an image."""
    return np.asarray(Image.open(io.BytesIO(content)))


def header(name: str, size: int) -> bytes:
    """Make the header of a tar member; tarfile takes ten times as long."""
    made = bytearray(BLOCK)
    fields = {0: name, 100: "0000644\0", 124: f"{size:011o}\0", 136: "00000000000\0", 148: " " * 8, 156: "0"}
    for at, text in (fields | {257: "ustar\0" + "00"}).items():
        made[at : at + len(text)] = text.encode()
    made[148:156] = f"{sum(made):06o}\0 ".encode()
    return bytes(made)


def write_archives(folder: Path, images: int) -> None:
    """Write the archives, the images in folders of their classes."""
    contents, model = [jpeg(seed) for seed in range(DISTINCT)], net()
    with torch.inference_mode():
        inputs = model.transform.many(np.stack([pixels_of(content) for content in contents]))
        predicted = model(inputs).argmax(dim=1).tolist()
    padded = [content + bytes(-len(content) % BLOCK) for content in contents]
    for number, start in enumerate(range(0, images, PER_ARCHIVE)):
        with (folder / f"test-{number:05d}.tar").open("wb", buffering=MIB) as archive:
            for row in range(start, min(start + PER_ARCHIVE, images)):
                at = row * 7919 % DISTINCT
                wrong = row * 40503 % 65536 % WRONG == 0
                label = (predicted[at] + wrong) % CLASSES
                archive.write(header(f"{label}/{row:08d}.jpg", len(contents[at])) + padded[at])
            archive.write(bytes(2 * BLOCK))


def rates(folder: Path, images: int) -> dict[str, dict[str, float]]:
    """Return what decoding alone and loading alone take, the better of three turns each."""
    source = open_source(folder, transform=Transform())
    count = min(images, MEASURED)
    parts = [np.arange(at, min(at + BATCH, count)) for at in range(0, count, BATCH)]

    def decode(rows: np.ndarray) -> int:
        return len(source.decode_bytes(rows, source.read_bytes(rows)))

    def load(rows: np.ndarray) -> int:
        loaded = load_with_prints(source, rows, source.read_bytes(rows))
        return len(loaded.prints.pixels) + len(source.prepare(rows, loaded.decoded))

    best = {
        name: {"images_per_second": 0.0, "cpu_us_an_image": np.inf}
        for name in ("decoding alone", "loading alone")
    }
    for _ in range(3):
        for told, task in zip(best.values(), (decode, load)):
            begun, used = time.perf_counter(), time.process_time()
            for _ in loaded_ahead(task, parts, None):
                pass
            told["images_per_second"] = max(told["images_per_second"], count / (time.perf_counter() - begun))
            told["cpu_us_an_image"] = min(told["cpu_us_an_image"], 1e6 * (time.process_time() - used) / count)
    return best


def _shards(study: Path) -> list[Path]:
    return sorted((study / "shards").rglob("0*.h5"))


def child(study: Path, folder: Path) -> dict[str, Any]:
    """Take the test step; note memory, time, and what is read of shards that were done."""
    torch.set_num_threads(1)
    if not (study / "study.h5").exists():
        model = f"{Path(__file__).resolve()}:net"
        Study.create(study, model=model, test=str(folder), batch_size=BATCH, allow_overlap=True)
    opened = Study.open(study)
    _ = opened.inputs.sources, opened.inputs.probes, opened.inputs.output_scale
    per_shard = 16_384 if len(opened.source("test")) >= 1 << 18 else 1024
    images = len(opened.source("test"))
    done = np.array(sorted(int(file.stem) for file in _shards(study)), np.int64)
    wanted = images - int(np.isin(np.arange(images) // per_shard, done).sum())
    again, read, reading = Counter[str](), EncodedSource.read_bytes, threading.Lock()

    def counted(source: EncodedSource, rows: Any) -> Any:
        with reading:
            if again["read"] < wanted:  # later those that are measured are read once more
                again["of finished shards"] += int(np.isin(np.asarray(rows) // per_shard, done).sum())
            again["read"] += len(rows)
        return read(source, rows)

    EncodedSource.read_bytes = counted  # type: ignore[method-assign]
    noted: list[tuple[float, float, int, int]] = []
    ended = threading.Event()

    def note() -> None:
        while not ended.wait(0.5):
            now = time.perf_counter() - begun, time.process_time() - used
            noted.append((*now, again["read"], harness.memory("VmRSS")))

    begun, used = time.perf_counter(), time.process_time()
    watch = threading.Thread(target=note)
    watch.start()
    opened.test()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    ended.set()
    watch.join()
    noted.append((seconds, cpu, again["read"], harness.memory("VmRSS")))
    streamed = [one for one in noted if one[2] < wanted] or noted[-1:]  # until the last image is asked for
    first = [rss for *_, count, rss in noted if count <= wanted / 10] or [noted[0][3]]
    later = [rss for *_, count, rss in streamed if count > wanted / 10] or [noted[-1][3]]
    last, last_cpu, count, _ = streamed[-1]
    return {
        "images": images, "streamed": wanted, "of_finished_shards": again["of finished shards"],
        "read_again_to_be_measured": again["read"] - wanted,
        "streaming": {"images_per_second": count / last, "cpu_us_an_image": 1e6 * last_cpu / count},
        "in_all": {"images_per_second": wanted / seconds, "cpu_us_an_image": 1e6 * cpu / wanted},
        "seconds": seconds, "seconds_after_the_last_image": seconds - last,
        "mib": {
            "at_a_tenth": first[-1] / MIB, "most_while_streaming": max(later) / MIB,
            "least_while_streaming": min(later) / MIB, "most_of_all": max(one[3] for one in noted) / MIB,
        },
    }  # fmt: skip


def start(study: Path, folder: Path, images: int) -> subprocess.Popen[str]:
    """Start a process that takes the test step."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, __file__, "--child", str(study), str(folder), "--images", str(images)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a process and return what it found."""
    told, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the test step ended with exit code {process.returncode}")
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def kill_and_resume(study: Path, folder: Path, images: int) -> dict[str, Any]:
    """Kill the test step when a third of its shards are done, and go on."""
    process = start(study, folder, images)
    wanted = max(1, images // (16_384 if images >= 1 << 18 else 1024) // 3)
    while len(_shards(study)) < wanted and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    kept = len(_shards(study))
    return {"shards_at_the_kill": kept, **finished(start(study, folder, images))}


def errors(study: Path) -> int:
    """Count the errors of a study."""
    return len(Study(study).errors)


def same(one: Path, other: Path) -> bool:
    """Say whether two studies found the same."""
    a, b = Study(one).split("test"), Study(other).split("test")
    numbers = [(a.prediction, b.prediction), (a.score, b.score)]
    numbers += [(a.attributes[name], b.attributes[name]) for name in a.attributes]
    return a.path == b.path and all(np.array_equal(x, y, equal_nan=True) for x, y in numbers)


def main() -> None:
    """Run the benchmark and write its figures."""
    parser = harness.parser(__doc__.splitlines()[0], "shards")
    parser.add_argument("--images", type=int, default=1_000_000, help="images in all")
    parser.add_argument("--folder", type=Path, help="where archives and studies are written, and left")
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(child(*chosen.child)))
        return
    images, machine = min(chosen.images, 20_000) if chosen.quick else chosen.images, harness.machine()
    root = chosen.folder or Path(tempfile.mkdtemp(prefix="hudd-shards-"))
    folder = root / f"archives-{images}"
    if not folder.exists():
        folder.mkdir(parents=True)
        write_archives(folder, images)
    for name in ("whole", "killed"):
        shutil.rmtree(root / name, ignore_errors=True)
    begun = time.perf_counter()
    open_source(folder)
    indexing = time.perf_counter() - begun
    apart = rates(folder, images)
    whole = finished(start(root / "whole", folder, images))
    resumed = kill_and_resume(root / "killed", folder, images)
    again = rates(folder, images)
    for name, told in apart.items():  # of before and after, as other programs may have slowed down either
        told["images_per_second"] = max(told["images_per_second"], again[name]["images_per_second"])
        told["cpu_us_an_image"] = min(told["cpu_us_an_image"], again[name]["cpu_us_an_image"])
    figures = {
        "images": images, "errors": errors(root / "whole"), "seconds_of_the_index": indexing, "apart": apart,
        "whole": whole, "resumed": resumed, "same": same(root / "whole", root / "killed"),
        "of_decoding_alone": {
            part: {
                "images_per_second": whole[part]["images_per_second"] / apart["decoding alone"]["images_per_second"],
                "cpu": apart["decoding alone"]["cpu_us_an_image"] / whole[part]["cpu_us_an_image"],
            }
            for part in ("streaming", "in_all")
        },
        "mib_gained": {
            "while_streaming": whole["mib"]["most_while_streaming"] - whole["mib"]["at_a_tenth"],
            "to_the_end": whole["mib"]["most_of_all"] - whole["mib"]["at_a_tenth"],
        },
    }  # fmt: skip
    versions = harness.versions("hudd", "torch", "numpy", "pillow", "simplejpeg")
    harness.write(chosen.out, {"machine": machine, "versions": versions, "repeats": 1, "figures": figures})
    print(json.dumps(figures, indent=1))
    if chosen.folder is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
