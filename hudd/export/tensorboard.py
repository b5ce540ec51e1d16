"""A study's figures as TensorBoard shows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hudd.errors import HuddError
from hudd.export.base import Exporter
from hudd.export.figures import figures, settings
from hudd.export.model_card import known_failures

if TYPE_CHECKING:
    from hudd.review.view import View


def _write(results: View, folder: Path) -> list[Path]:
    """Write an event file: see :func:`hudd.export.figures.figures`, and as text the settings and the causes."""
    told = figures(results)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise HuddError(
            "the TensorBoard export needs tensorboard; run pip install '.[tracking]' in hudd's source tree."
        ) from None
    before = set(folder.iterdir())
    with SummaryWriter(str(folder)) as writer:
        for figure in told:
            writer.add_scalar(figure.name, figure.value, figure.step)
        rows = [f"    {name} = {value}" for name, value in settings(results).items()]  # four spaces: as it is
        writer.add_text("settings", "\n".join(rows))
        writer.add_text("known_failures", "\n".join(known_failures(results)))
    return sorted(set(folder.iterdir()) - before)


TENSORBOARD = Exporter("tensorboard", _write, folder="tensorboard")
