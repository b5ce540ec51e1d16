"""A connection that is closed where its client neither asks nor reads."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 10.0
"""How long nothing may come from a client at least; a connection is looked at that often."""


class Connection(H11Protocol):
    """uvicorn's connection, closed where a client sends no whole head of a request or does not read its answer.

    uvicorn closes what is idle after an answer, but waits for ever for the first request, for the rest of a head, and
    for an answer to be read. A request that is being answered may take as long as it does; how long its body may take
    is up to :mod:`hudd.server.guard`.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look."""
        super().connection_made(transport)
        self._before: tuple[object, ...] | None = None
        self._timer = self.loop.call_later(SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close the connection if it waits for the client, and did at the same point when it was looked at before."""
        unread = self.transport.get_write_buffer_size()
        waits = self.cycle is None or self.cycle.response_complete or unread > 0
        now = (self.cycle, unread) if waits else None
        if now is not None and now == self._before:
            self.transport.abort()
            return
        self._before = now
        self._timer = self.loop.call_later(SECONDS, self._look)
