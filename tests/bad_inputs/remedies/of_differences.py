"""Two studies."""

from __future__ import annotations

import shutil

from remedy import call

from hudd.study import Study


def _copied() -> None:
    shutil.rmtree("other", ignore_errors=True)
    shutil.copytree("study", "other")


for _what in (
    "One study only",
    "A study compared with itself",
    "The same study by another path",
    "A study compared with one that does not exist",
    "Studies of two tasks",
    "Studies of other classes",
    "Studies with other thresholds",
):
    call(_what, "diff study other", _copied)
call("A study compared with one that is not tested", "diff study other", lambda: Study.open("other").test())
for _what in (
    "Test sets without a common image",
    "Test sets with few common images, but the same names",
):
    call(
        _what,
        "diff study other",
        lambda: Study.open("other").configure(test="test.npz").force("test").test(),
    )
call("A page that is no HTML", "diff study other --out diff.html")
call("A page in a folder that is not there", "diff study other --out diff.html")
call("A page over a file that is there", "diff study other --out diff.html --overwrite")
