"""A fuzz campaign: ``python tests/fuzz [--minutes M] [--seed S] [--only NAME,...] [--out DIR]``, or ``make fuzz``.

Every target gets its share of the time, in hunters that run at low priority, two at a time. What is found is
written to DIR/findings, a file a finding; each belongs into tests/fuzz/findings, where the tests feed it to its target
ever after. Ends with 1 if anything was found.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from hunt import Finding, hunt, judged, keep, watched
from targets import Target, targets


def main() -> int:
    """Run the campaign and print what came of it."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="of processor time, a hunter")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides every file; printed")
    parser.add_argument("--only", help="names of targets, comma-separated")
    parser.add_argument("--hunters", type=int, default=2, help="processes at a time")
    parser.add_argument("--replay", type=Path, help="feed the files of this folder to their targets instead")
    parser.add_argument("--out", type=Path, help="folder for findings; default a temporary one")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    root = Path(tempfile.mkdtemp(prefix="hudd-fuzz-"))
    try:
        (root / "sound").mkdir()
        every = targets(root / "sound")
        names = chosen.only.split(",") if chosen.only else list(every)
        if chosen.replay:
            return replayed(every, chosen.replay, root / "sound")
        counts, findings = campaign({name: every[name] for name in names}, chosen, root)
        if chosen.out and findings:
            shutil.copytree(root / "sound" / "findings", chosen.out, dirs_exist_ok=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"seed {chosen.seed}")
    print(f"{'target':22}{'files':>10}{'accepted':>10}{'refused':>10}{'findings':>10}")
    for name in names:
        found = counts[name]
        row = (sum(found.values()), found["accepted"], found["refused"], sum(f[0] == name for f in findings))
        print(f"{name:22}" + "".join(f"{number:10,}" for number in row))
    print(f"{'all':22}{sum(sum(found.values()) for found in counts.values()):10,}{len(findings):30,}")
    for name, kind, where, text, file in findings:
        print(f"\n{name}: {kind} at {where} ({file})\n    {text}")
    return 1 if findings else 0


def campaign(
    chosen: dict[str, Target], options: argparse.Namespace, root: Path
) -> tuple[dict[str, Counter[str]], list[list[str]]]:
    """Hunt every target for its share of the time, `hunters` at a time; a hunter that died is followed by another."""
    unit = options.minutes * 60 * options.hunters / sum(target.share for target in chosen.values())
    counts: dict[str, Counter[str]] = {name: Counter() for name in chosen}
    findings, waiting, running = list[list[str]](), list(chosen), dict[int, tuple[str, float, int]]()
    while waiting or running:
        while waiting and len(running) < options.hunters:
            name = waiting.pop(0)
            left = unit * chosen[name].share
            running[_start(name, chosen[name], root, options.seed, left)] = (name, left, options.seed)
        process, status = os.wait()
        name, left, seed = running.pop(process)
        log, spent = root / f"{name}.log", 0.0
        for line in log.read_text().splitlines() if log.exists() else ():
            told = json.loads(line)
            counts[name].update(told.get("counts", {}))
            findings += [told["finding"]] if "finding" in told else []
            spent = told.get("seconds", 0.0)
        log.unlink(missing_ok=True)
        if status:
            end = (
                signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {status >> 8}"
            )
            kind = "hang" if end == "SIGPROF" else "crash"
            data = (root / "sound" / chosen[name].name).read_bytes()
            findings.append([name, *Finding(kind, end, ""), keep(root / "sound", name, data)])
            counts[name]["finding"] += 1
            left -= max(spent, 1.0)
            if left > 0:
                running[_start(name, chosen[name], root, seed + 1, left)] = (name, left, seed + 1)
    return counts, findings


def _start(name: str, target: Target, root: Path, seed: int, seconds: float) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.nice(5)
        os.chdir(root)
        hunt(name, target, root / "sound", root / f"{name}.log", seed, seconds)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def replayed(every: dict[str, Target], folder: Path, work: Path) -> int:
    """Feed files to the targets that their names begin with; returns 1 if any is a finding still."""
    bad = 0
    for file in sorted(folder.iterdir()):
        name = file.name.rpartition("-")[0]
        path = work / every[name].name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read_bytes())
        with watched():
            verdict, finding = judged(every[name], path)
        bad += finding is not None
        print(f"{file.name}: {verdict} {finding or ''}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
