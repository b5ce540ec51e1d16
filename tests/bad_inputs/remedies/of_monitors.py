"""Monitors."""

from __future__ import annotations

from remedy import call

from hudd.study import Study

_CALL = "monitor study --out monitor.pt2"
for _what in (
    "A monitor without a file to write",
    "A monitor of a study that does not exist",
    "A monitor in another format",
    "A monitor in a folder that is not there",
):
    call(_what, _CALL)
call("A monitor over a file that is there", f"{_CALL} --overwrite")
call("No false alarm at all", f"{_CALL} --false-alarms 0.05")
call("A share of false alarms in per cent", f"{_CALL} --false-alarms 0.05")
call("A monitor of a study without clusters", _CALL, lambda: Study.open("study").force("cluster").evaluate())
call("A monitor by a test set that is not tested yet", _CALL, lambda: Study.open("study").run())
