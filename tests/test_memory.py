"""The memory that a process may use: the machine's, or its container's where that is less."""

import os

import pytest

from hudd import memory

HOST = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1073741824\n", 1 << 30), ("max\n", HOST), ("9223372036854771712\n", HOST), ("", HOST), (None, HOST)],
)
def test_the_least_of_machine_and_container(tmp_path, monkeypatch, text, wanted):
    limit = tmp_path / "memory.max"
    if text is not None:
        limit.write_text(text)
    monkeypatch.setattr(memory, "_LIMITS", (limit, tmp_path / "of-version-1"))
    assert memory.memory_bytes() == wanted
