"""JUnit files, which pipelines show: a test case for each step of a run, or for each criterion of a check."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from hudd.errors import one_line
from hudd.store.files import check_place, write_whole


class Cases:
    """What a command has done, in its order; `suite` is the command."""

    def __init__(self, suite: str) -> None:
        self._suite = ElementTree.Element("testsuite", name=suite)

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """Take a step inside the body, and note how long it took and how it ended."""
        started, failure = time.perf_counter(), ("", "")
        try:
            yield
        except BaseException as error:
            failure = one_line(str(error)) or type(error).__name__, type(error).__name__
            raise
        finally:
            self.add(name, *failure, seconds=time.perf_counter() - started)

    def add(self, name: str, failure: str = "", kind: str = "", *, seconds: float = 0) -> None:
        """Note a case, and what it failed by, if it did."""
        case = ElementTree.SubElement(self._suite, "testcase", classname="hudd", name=one_line(name))
        case.set("time", f"{seconds:.3f}")
        if failure:
            ElementTree.SubElement(case, "failure", message=failure, type=kind)

    def write(self, path: Path) -> None:
        """Write what there is so far."""
        cases, failures = self._suite.findall("testcase"), self._suite.findall("testcase/failure")
        self._suite.attrib |= {"tests": str(len(cases)), "failures": str(len(failures))}
        ElementTree.indent(self._suite)
        write_whole(path, ElementTree.tostring(self._suite, encoding="utf-8", xml_declaration=True))


@contextmanager
def cases_for(path: Path | None, suite: str = "hudd run") -> Iterator[Cases]:
    """Collect the cases of a command, and write them to `path`, if there is one, however it ends.

    Raises
    ------
    UsageError
        If no file can stand there; before anything is done.
    """
    if path is not None:
        check_place(path, "the JUnit file ", "hudd.xml")
    cases = Cases(suite)
    try:
        yield cases
    finally:
        if path is not None:
            cases.write(path)
