"""Conservation of relevance over timm's model zoo: the smallest model of each family, at random weights.

Each family is measured within a time limit and recorded at once: a run that is cut off resumes where it was. Writes the
table of docs/conservation-zoo.md.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import conservation
import harness
import peers
import torch
from torch import nn

from hudd.errors import HuddError, UnsupportedOperation

PAGE = conservation.ROOT / "docs" / "conservation-zoo.md"
RULES = ("epsilon-plus", "recommended")
SIZES = (64, 96, 128, 192, 224, 256, 299, 384)
_ROW = "| {family} | {model} | {size} | {composite} | {layers} | {worst_layer:.1e} | {bias_share:.1e} |"


def family_of(name: str, module: str) -> str:
    """Module of timm and the letters that a name begins with, up to its first size: ``resnet/seresnext``."""
    letters = re.match(r"[a-z]+(?:_[a-z]+)*?v\d+|[a-z]+", name)
    assert letters is not None
    return f"{module}/{letters[0]}"


def families() -> dict[str, str]:
    """The model with the fewest parameters of each family; timm's own test models are left out."""
    timm = _timm()
    members: dict[str, dict[str, int]] = defaultdict(dict)
    for name in timm.list_models():
        module = timm.model_entrypoint(name).__module__.rpartition(".")[2]
        if not name.startswith("test_"):
            members[family_of(name, module)][name] = _parameters(name)
    return {family: min(found, key=found.__getitem__) for family, found in sorted(members.items())}


def _timm() -> object:
    peers.torchvision_models()  # timm imports torchvision
    import timm

    return timm


def _parameters(name: str) -> int:
    try:
        with torch.device("meta"):
            model = _timm().create_model(name)  # type: ignore[attr-defined]
    except Exception:  # some compute with numbers while they are made, which the meta device has not
        return sys.maxsize - 1
    return sum(parameter.numel() for parameter in model.parameters())


def build(name: str) -> tuple[nn.Module, int]:
    """The model for the smallest images that it takes, and their side."""
    timm = _timm()
    native = timm.get_pretrained_cfg(name).input_size[-1]  # type: ignore[attr-defined]
    for size in (*SIZES, native):
        for options in ({"img_size": size}, {}):
            torch.manual_seed(0)
            try:
                model = timm.create_model(name, **options)  # type: ignore[attr-defined]
                with torch.inference_mode():
                    model.eval()(torch.randn(2, 3, size, size))
                return conservation.calibrated(model, [torch.randn(4, 3, size, size)]), size
            except Exception:  # a size that does not go through ends in errors of every kind
                continue
    raise HuddError(f"{name} takes no square image of three channels.")


def measure(name: str) -> list[dict[str, object]]:
    """One row for each of the rules, or one that says what is refused."""
    try:
        model, size = build(name)
        model = conservation.shifted(model)
        torch.manual_seed(2)
        images = [torch.randn(1, 3, size, size)]
        with conservation.captured_once():
            found = [{"rules": rules, **conservation.explain(model, rules, images)} for rules in RULES]
    except UnsupportedOperation as error:
        return [{"refused": f"`{error.operation}` in `{error.module}`: {error.remedy}"}]
    except HuddError as error:
        return [{"refused": str(error)}]
    return [{"size": size, **row} for row in found]


def _worker(tasks: Connection) -> None:
    warnings.simplefilter("ignore")
    while True:
        try:
            name = tasks.recv()
        except EOFError:  # all is measured
            return
        try:
            tasks.send(measure(name))
        except Exception as error:
            tasks.send([{"failed": f"{type(error).__name__}: {error}"[:300]}])


class Worker:
    """A process that measures one model after the other, and is replaced where one takes too long or kills it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: BaseProcess | None = None

    def measure(self, name: str) -> list[dict[str, object]]:
        """The rows of a model."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._tasks, theirs = context.Pipe()
            self._process = context.Process(target=_worker, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        self._tasks.send(name)
        with suppress(EOFError):
            if self._tasks.poll(self._seconds):
                rows: list[dict[str, object]] = self._tasks.recv()
                return rows
        self._process.kill()
        self._process.join()
        ended, self._process = self._process.exitcode, None
        return [{"failed": f"took more than {self._seconds:.0f} s, or ended by itself ({ended})"}]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the families that are not in the record, write record and page."""
    options = harness.parser((__doc__ or "").partition("\n")[0], "zoo")
    options.add_argument("--one", help="measure this model in this process and print its rows")
    options.add_argument("--family", action="append", help="measure this family again; may be given again")
    options.add_argument("--refused", action="store_true", help="measure again what was refused or failed")
    options.add_argument("--timeout", type=float, default=300, help="seconds a family")
    chosen = options.parse_args(arguments)
    if chosen.one:
        print(json.dumps(measure(chosen.one)))
        return
    known = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    smallest = known.get("families") or families()
    rows = {row["family"]: [] for row in known.get("rows", [])}
    for row in known.get("rows", []):
        rows[row["family"]].append(row)
    again, worker = set(chosen.family or ()), Worker(chosen.timeout)
    if chosen.refused:
        again |= {family for family, found in rows.items() if "composite" not in found[0]}
    for family, model in smallest.items():
        if family not in again and (family in rows or chosen.family or chosen.refused):
            continue
        started = time.perf_counter()
        found = worker.measure(model)
        rows[family] = [{"family": family, "model": model, **row} for row in found]
        about = [
            f"{row['composite']} {row['worst_layer']:.1e}" for row in found if "composite" in row
        ] or found
        print(f"{family:40s} {model:32s} {time.perf_counter() - started:5.0f} s  {about}", flush=True)
        record = [row for name in smallest for row in rows.get(name, ())]
        versions = harness.versions("torch", "torchvision", "timm", "hudd")
        harness.write(chosen.out, {"versions": versions, "families": smallest, "rows": record})
        PAGE.write_text(_page(record))


def _page(rows: list[dict[str, object]]) -> str:
    measured = [row for row in rows if "composite" in row]
    refused = [row for row in rows if "composite" not in row]
    count = len({row["family"] for row in rows})
    worst = {
        rules: max((row for row in measured if row["rules"] == rules), key=lambda row: row["worst_layer"])
        for rules in RULES
    }
    lines = [
        "# Conservation over timm's model zoo",
        "",
        "Written by `python benchmarks/zoo.py`: of each family (module and first letters of the name) the model with",
        "the fewest parameters, at random weights and biases, batch norms calibrated on noise, float32, an image of",
        "the least size that goes through. *Worst layer* is the relevance that a layer loses or adds beyond what its",
        "biases absorb, as a share of what is explained, the greatest over all layers.",
        "",
        f"{count} families, {len(refused)} of them refused or not measured.",
    ]
    for rules, row in worst.items():
        loss = [found["worst_layer"] for found in measured if found["rules"] == rules]
        kept = sum(each < 1e-4 for each in loss)  # type: ignore[operator]
        lines += [
            f"Under {rules} {kept} of {len(loss)} conserve within 1e-4; the worst is {row['model']}: "
            f"{row['worst_layer']:.1e} at `{row['layer']}`."
        ]
    lines.append("")
    if refused:
        lines += ["Refused or not measured:", ""]
        lines += [f"- {row['model']}: {row.get('refused') or row['failed']}" for row in refused] + [""]
    lines += ["| family | model | input | composite | layers | worst layer | bias share |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    shown = {(row["family"], row["composite"]): row for row in measured}.values()
    return "\n".join([*lines, *(_ROW.format(**row) for row in shown), ""])


if __name__ == "__main__":
    main()
