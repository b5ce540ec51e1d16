"""A run as a JUnit file, which pipelines show: a test case for each step, failed where the step has failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from hudd.errors import one_line
from hudd.store.files import check_place, write_whole


class Cases:
    """The steps of a run, in the order in which they were taken."""

    def __init__(self) -> None:
        self._suite = ElementTree.Element("testsuite", name="hudd run")

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """Take a step inside the body, and note how long it took and how it ended."""
        found, started = (
            ElementTree.SubElement(self._suite, "testcase", classname="hudd", name=name),
            time.perf_counter(),
        )
        try:
            yield
        except BaseException as error:
            told = one_line(str(error)) or type(error).__name__
            ElementTree.SubElement(found, "failure", message=told, type=type(error).__name__)
            raise
        finally:
            found.set("time", f"{time.perf_counter() - started:.3f}")

    def write(self, path: Path) -> None:
        """Write what there is so far."""
        cases, failures = self._suite.findall("testcase"), self._suite.findall("testcase/failure")
        self._suite.attrib |= {"tests": str(len(cases)), "failures": str(len(failures))}
        ElementTree.indent(self._suite)
        write_whole(path, ElementTree.tostring(self._suite, encoding="utf-8", xml_declaration=True))


@contextmanager
def cases_for(path: Path | None) -> Iterator[Cases]:
    """Collect the cases of a run, and write them to `path`, if there is one, however the run ends.

    Raises
    ------
    UsageError
        If no file can stand there; before the run.
    """
    if path is not None:
        check_place(path, "the JUnit file ", "hudd.xml")
    cases = Cases()
    try:
        yield cases
    finally:
        if path is not None:
            cases.write(path)
