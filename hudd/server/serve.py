"""The report and the label page, served to one person on this machine."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from gettext import NullTranslations
from typing import TYPE_CHECKING, Literal

from hudd.errors import HuddError, UsageError
from hudd.report.languages import translations
from hudd.review.labelling import Labels

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.types import ASGIApp
except ImportError:
    raise UsageError(
        "serving pages needs starlette and uvicorn; run pip install '.[serve]' in hudd's source tree."
    ) from None

from hudd.server.connection import Connection
from hudd.server.guard import Guard
from hudd.server.interrupt import Server, ended_by_signals
from hudd.server.pages import Pages, refused

if TYPE_CHECKING:
    from hudd.study import Study

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PAGES = {"report": "/", "label": "/label"}


def serve(
    study: Study,
    page: Literal["report", "label"] = "report",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    language: str | None = None,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the report and the label page until interrupted.

    Parameters
    ----------
    study : Study
        A study that is clustered; with a selection for the label page.
    page : {"report", "label"}
        Where the address that is told leads to.
    host : str
        Address to listen on. Any other than this machine's own lets the network in; the token is then all
        that protects the study, and it travels unencrypted.
    port : int
        Port; 0 for a free one.
    language : str, optional
        Of the pages, see :func:`hudd.report.write_report`.
    ready : callable
        Gets the page's address, token included, once it can be opened.

    Raises
    ------
    UsageError
        If the page or the language is unknown, or host and port cannot be listened on.
    HuddError
        If the study has not come far enough.
    """
    if page not in _PAGES:
        raise UsageError(f"page is '{page}'; choose report or label.")
    token, spoken = secrets.token_urlsafe(24), translations(language)
    if page == "label":
        Labels(study)  # says at once what is missing
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"cannot listen on {host} port {port} ({error}); give another port or host."
            ) from error
        port = listener.getsockname()[1]
        app = make_app(study, token, hosts={*_LOOPBACK, host}, port=port, translations=spoken)
        name = f"[{host}]" if ":" in host else host
        server = Server(server_config(app))
        with ended_by_signals(server):
            ready(f"http://{name}:{port}{_PAGES[page]}?token={token}")
            server.run(sockets=[listener])


def make_app(
    study: Study, token: str, *, hosts: set[str], port: int, translations: NullTranslations | None = None
) -> ASGIApp:
    """Return the server as an ASGI application.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    token : str
        What every request must bring, see :mod:`hudd.server.guard`.
    hosts : set of str
        Names under which the server may be asked for, without the port.
    port : int
        Its port.
    translations : NullTranslations, optional
        What the pages are written in, English by default.
    """
    app = Starlette(routes=Pages(study, translations).routes, exception_handlers={HuddError: refused})
    names = {f"[{host}]" if ":" in host else host for host in hosts}
    return Guard(app, token, names, port, tuple(_PAGES.values()))


def server_config(app: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn serves the application."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
    )
