"""What a request must bring to be answered.

It must name this server in its Host header, so that a foreign page whose name is made to point here gets nothing. It
must bring the token that was printed when the server started: first in the address, which is answered by a cookie and
a redirect to the same page without the token, then in that cookie. And what changes something must come from one of
this server's own pages, not from another page that the same browser shows.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_BODY = 65_536
"""Bytes that a request may carry."""

BODY_SECONDS = 20.0
"""How long a request's body may take to arrive."""

_HEADERS = {
    b"cache-control": b"no-store",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


class Guard:
    """Lets through to an application what may be answered.

    Parameters
    ----------
    app : ASGIApp
        The application.
    token : str
        What a request must bring: in the address of one of `pages`, in the cookie, or, where a program asks, in the
        header ``X-Hudd-Token``.
    hosts : set of str
        Names under which the server may be asked for, without the port.
    port : int
        Its port.
    pages : tuple of str
        Paths that people open.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: set[str], port: int, pages: tuple[str, ...]) -> None:
        self.app, self.token, self.pages = app, token, pages
        self.cookie = f"hudd-{port}"  # a browser sends a machine's cookies to all of its ports
        self.hosts = {f"{host}:{port}" for host in hosts} | (hosts if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have the application do it."""
        if scope["type"] != "http":
            return

        async def send_safely(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        answer = self._answer(Request(scope))
        await (answer or self.app)(scope, _limited(receive), send_safely)

    def _answer(self, request: Request) -> Response | None:
        """Return what is answered in the application's place, if anything."""
        if request.headers.get("host", "").lower() not in self.hosts:
            return PlainTextResponse("This is not the server that was asked for.", 421)
        reads = request.method in ("GET", "HEAD")
        if "token" in request.query_params and reads and request.url.path in self.pages:
            if not self._is_token(request.query_params["token"]):
                return _without_token()
            answer = RedirectResponse(request.url.path, 303)
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
            return answer
        by_cookie = self._is_token(request.cookies.get(self.cookie, ""))
        if not by_cookie and not self._is_token(request.headers.get("x-hudd-token", "")):
            return _without_token()
        if not reads and not _is_from_own_page(request, needed=by_cookie):
            return PlainTextResponse("Changes are taken from this server's own pages alone.", 403)
        if int(request.headers.get("content-length") or 0) > LONGEST_BODY:
            return PlainTextResponse(_TOO_LONG, 413, headers=_CLOSE)
        return None

    def _is_token(self, brought: str) -> bool:
        return secrets.compare_digest(brought.encode(), self.token.encode())


_TOO_LONG, _CLOSE = f"At most {LONGEST_BODY} bytes are taken.", {"connection": "close"}


def _without_token() -> Response:
    return PlainTextResponse("Open the address that hudd printed, token included.", 403)


def _is_from_own_page(request: Request, needed: bool) -> bool:
    """Say whether a browser tells that a request comes from this server's pages; `needed`: nothing told is a no."""
    own = f"http://{request.headers['host'].lower()}"
    origins, sites = request.headers.getlist("origin"), request.headers.getlist("sec-fetch-site")
    if any(origin.lower() != own for origin in origins) or any(site != "same-origin" for site in sites):
        return False
    return bool(origins or sites) or not needed


def _limited(receive: Receive) -> Receive:
    """Return `receive` that refuses a body of more bytes, or more time, than is allowed, whatever its header says."""
    length, end = 0, 0.0

    async def limited() -> Message:
        nonlocal length, end
        end = end or asyncio.get_running_loop().time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "The request did not arrive in time.", _CLOSE) from None
        length += len(message.get("body", b""))
        if length > LONGEST_BODY:
            raise HTTPException(413, _TOO_LONG, _CLOSE)
        return message

    return limited
