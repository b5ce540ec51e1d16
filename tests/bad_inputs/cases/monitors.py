"""Programs that no monitor can be exported as."""

from __future__ import annotations

import numpy as np
from case import add, changed, write

_MONITOR = "Monitors"
_CALL = "monitor study --out monitor.pt2"

add(_MONITOR, "A monitor without a file to write", "monitor study")
add(_MONITOR, "A monitor of a study that does not exist", "monitor nowhere --out monitor.pt2")
add(_MONITOR, "A monitor in another format", "monitor study --out monitor.onnx")
add(_MONITOR, "A monitor in a folder that is not there", "monitor study --out none/monitor.pt2")
add(_MONITOR, "A monitor over a file that is there", _CALL, lambda: write("monitor.pt2", ""))
add(_MONITOR, "No false alarm at all", f"{_CALL} --false-alarms 0")
add(_MONITOR, "A share of false alarms in per cent", f"{_CALL} --false-alarms 5")
add(
    _MONITOR,
    "A monitor of a study without clusters",
    _CALL,
    changed(lambda file: file.pop("clusters")),
    1,
)


def _others() -> None:
    """Give the study a test set of its images turned round, and do not test it."""
    from hudd.study import Study

    arrays = dict(np.load("test.npz"))
    np.savez("bad.npz", **{**arrays, "images": arrays["images"][:, ::-1]})
    Study.open("study").configure(test="bad.npz")


add(_MONITOR, "A monitor by a test set that is not tested yet", _CALL, _others, 1)
