"""A server that Ctrl-C ends at any moment, also before it has started to answer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """uvicorn's server, whose signals are those of :func:`ended_by_signals`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals as they are."""
        yield


@contextmanager
def ended_by_signals(server: Server) -> Iterator[None]:
    """End `server` by SIGINT or SIGTERM while the body runs; a second signal does not wait for open connections.

    uvicorn takes the signals over only once it runs. A Ctrl-C before that, when the address has just been printed,
    ended in a traceback. SIGTERM goes on to end the process; Ctrl-C is how people end a served page.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        server.force_exit = server.should_exit
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if signal.SIGTERM in received:
        signal.raise_signal(signal.SIGTERM)
