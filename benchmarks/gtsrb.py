"""The real case: every step of `hudd run` on the traffic-sign DNN of examples/gtsrb, with time and memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

ROOT = Path(__file__).parent.parent


def _hudd(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "hudd", *arguments], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ).stdout


def main() -> None:
    """Run the case in a fresh directory and write its figures."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "gtsrb")
    options.add_argument("data", type=Path, help="folder with cnn45.pth and manifest.csv")
    chosen = options.parse_args()
    data = chosen.data.resolve()
    before = harness.machine()
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "signs"
        call = ["--model", "examples/gtsrb/model.py:cnn45", "--weights", str(data / "cnn45.pth")]
        for split in ("test", "train", "improvement"):
            call += [f"--{split}", f"{data / 'manifest.csv'}::{split}"]
        started = time.perf_counter()
        _hudd("run", str(study), *call, "--optimizer", "adam", "--lr", "0.0003")
        seconds = time.perf_counter() - started
        events = [json.loads(line) for line in (study / "log.jsonl").read_text().splitlines()]
        shown = json.loads(_hudd("show", str(study), "--json"))
        size = sum(file.stat().st_size for file in study.rglob("*") if file.is_file())
    record: dict[str, Any] = {
        "machine": before,
        "versions": harness.versions("torch", "numpy", "numba", "hudd"),
        "call": "hudd run signs " + " ".join(Path(word).name if "/" in word else word for word in call),
        "seconds": round(seconds, 1),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "study_mib": round(size / 2**20),
        "steps": {
            event["step"]: event["seconds"] for event in events if "step" in event and "seconds" in event
        },
        "summary": {key: value for key, value in shown.items() if key not in ("study", "model")},
    }
    print(json.dumps({key: value for key, value in record.items() if key != "summary"}, indent=1))
    harness.write(chosen.out, record)


if __name__ == "__main__":
    main()
