"""An export format: one line an error, its path and its cluster."""

from pathlib import Path
from typing import Any

from hudd.extend import Exporter


def write(results: Any, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    paths = results.split("test").path
    lines = [
        f"{cluster}\t{paths[row]}"
        for cluster, row in zip(results.clusters.label.tolist(), results.errors.tolist())
    ]
    (folder / "errors.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "errors.tsv"


LIST = Exporter("list", write, folder="list")
