"""The command line: ``hudd COMMAND``. Parses, calls the library, prints."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hudd.caches import prepare
from hudd.cli.commands import overview
from hudd.errors import HuddError, HuddWarning, one_line
from hudd.memory import check_address_space, shortage
from hudd.text import printable

_INTERRUPTED = 130  # the exit code, as shells have it: 128 and the signal's number


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 done, 1 the work failed, 2 the call was wrong.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    sys.exit(call(list(sys.argv[1:] if arguments is None else arguments)))


def call(arguments: list[str]) -> int:
    """Run one command and return its exit code; what goes wrong is one sentence on standard error."""
    # Products by MKL then have the same bits for any number of threads; it must be set before torch is loaded.
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    # A study's files are replaced, never changed: HDF5's own locks protect nothing, and some file systems have none.
    os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"] or ["--help"]
    try:
        if arguments in (["--help"], ["-h"]) and "_HUDD_COMPLETE" not in os.environ:
            print(overview())
            return 0
        check_address_space()
        prepare()
        from hudd.cli.app import app_for

        app = app_for(arguments)
        with _own_warnings(debug):
            code = app(arguments, prog_name="hudd", standalone_mode=False)
        if code == _INTERRUPTED:  # Typer has caught what was raised
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except HuddError as error:
        if error.shared and os.environ.get("RANK", "0") != "0":
            return error.exit_code
        return _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command resumes where it stopped.", _INTERRUPTED, debug)
    except BrokenPipeError:  # the reader of our output has gone, e.g. `hudd show STUDY | head`
        sys.stderr.close()
        return 1
    except Exception as error:
        if short := shortage(error):
            return _fail(short, 1, debug)
        if hasattr(error, "format_message"):  # the parser's own errors
            where = getattr(getattr(error, "ctx", None), "command_path", "hudd")
            return _fail(f"{error.format_message().rstrip('.')}; see '{where} --help'.", 2, debug)
        if type(error).__name__ == "Abort":
            return _fail("interrupted.", _INTERRUPTED, debug)
        reason = " ".join(str(error).split()) or "no message"
        return _fail(f"{type(error).__name__}: {reason} (--debug shows where)", 1, debug)


@contextmanager
def _own_warnings(debug: bool) -> Iterator[None]:
    """Print hudd's own warnings as a line each, and those of other libraries, which are for programmers, to nobody."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, HuddWarning) and os.environ.get("RANK", "0") == "0":
            print(f"hudd: {_told(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", HuddWarning)
        if not debug:
            warnings.showwarning = show
        yield


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        for line in traceback.format_exc().splitlines():
            print(printable(line), file=sys.stderr)
    print(f"hudd: {_told(message)}", file=sys.stderr)
    return code


def _told(message: str) -> str:
    from hudd.cli.translation import as_options

    return one_line(as_options(message))
