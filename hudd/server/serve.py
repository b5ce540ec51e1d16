"""The report and the label page, served to one person on this machine.

Nothing is read from disk by an address: pages, pictures and texts come from the open study, by number. Every
request must name this server in its Host header, so that a foreign page whose name is made to point here gets
nothing, and must bring the token that was printed when the server started.
"""

from __future__ import annotations

import io
import json
import secrets
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from hudd.errors import HuddError, UsageError
from hudd.report.page import render
from hudd.report.report import LiveReport
from hudd.review.labelling import Labels
from hudd.review.review import LONGEST, EditConflict, Review
from hudd.review.view import view
from hudd.text import shown

try:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send
except ImportError:
    raise UsageError(
        "serving pages needs starlette and uvicorn; run pip install '.[serve]' in hudd's source tree."
    ) from None

if TYPE_CHECKING:
    from hudd.study import Study

LONGEST_BODY = 65_536
"""Bytes that a request may carry."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}


def serve(
    study: Study,
    page: Literal["report", "label"] = "report",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
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
    ready : callable
        Gets the page's address, token included, once it can be opened.

    Raises
    ------
    UsageError
        If the page is unknown, or host and port cannot be listened on.
    HuddError
        If the study has not come far enough.
    """
    import uvicorn

    from hudd.server.interrupt import Server, ended_by_signals

    if page not in ("report", "label"):
        raise UsageError(f"page is '{page}'; choose report or label.")
    token = secrets.token_urlsafe(24)
    if page == "label":
        Labels(study)  # says at once what is missing
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"cannot listen on {host} port {port} ({error}); give another --port or --host."
            ) from error
        port = listener.getsockname()[1]
        app = make_app(study, token, hosts={*_LOOPBACK, host}, port=port)
        name = f"[{host}]" if ":" in host else host
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, ws="none", lifespan="off"
        )
        server = Server(config)
        with ended_by_signals(server):
            ready(f"http://{name}:{port}/{'label' if page == 'label' else ''}?token={token}")
            server.run(sockets=[listener])


def make_app(study: Study, token: str, *, hosts: set[str], port: int) -> ASGIApp:
    """Return the server as an ASGI application.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    token : str
        What every request must bring, as ``?token=`` or in the header ``X-Hudd-Token``.
    hosts : set of str
        Names under which the server may be asked for, without the port.
    port : int
        Its port.
    """
    pages = _Pages(study, token)
    app = Starlette(
        routes=[
            Route("/", pages.report),
            Route("/notes", pages.notes),
            Route("/notes/{cluster:int}", pages.save_note, methods=["PUT"]),
            Route("/clusters/{edit:str}", pages.edit, methods=["POST"]),
            Route("/shot/{name:str}", pages.shot),
            Route("/label", pages.label),
            Route("/labels", pages.labels),
            Route("/labels/{image:int}", pages.save_label, methods=["PUT"]),
            Route("/labels/finish", pages.finish, methods=["POST"]),
            Route("/picture/{split}/{row:int}", pages.picture),
        ],
        exception_handlers={HuddError: _refused},
    )
    return _Guard(app, token, {f"[{host}]" if ":" in host else host for host in hosts}, port)


class _Guard:
    """Lets through what names this server, brings the token and is not too long."""

    def __init__(self, app: ASGIApp, token: str, hosts: set[str], port: int) -> None:
        self.app, self.token = app, token
        self.hosts = {f"{host}:{port}" for host in hosts} | (hosts if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_safely(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self.app)(scope, receive, send_safely)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "").lower() not in self.hosts:
            return PlainTextResponse("This is not the server that was asked for.", 421)
        brought = request.headers.get("x-hudd-token") or request.query_params.get("token", "")
        if not secrets.compare_digest(brought.encode(), self.token.encode()):
            return PlainTextResponse("Open the address that hudd printed, token included.", 403)
        if (
            request.headers.get("transfer-encoding")
            or int(request.headers.get("content-length") or 0) > LONGEST_BODY
        ):
            return PlainTextResponse(f"At most {LONGEST_BODY} bytes are taken.", 413)
        return None


async def _refused(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 400 if isinstance(error, UsageError) else 409)


class _Pages:
    """What each address answers. Reads run in threads; saves are short and come one after the other."""

    def __init__(self, study: Study, token: str) -> None:
        self.study, self.token = study, token
        self._review = Review(study)
        self._known: dict[int, dict[str, str]] = {}
        self._labels = Labels(study) if study.has("selection") else None
        self._report, self._page, self._composing = LiveReport(study, token), "", threading.Lock()

    def report(self, request: Request) -> Response:
        with self._composing:
            if self._review.refresh():
                self._page = ""
            self._tell()
            self._page = self._page or self._report.page()
            return HTMLResponse(self._page)

    def label(self, request: Request) -> Response:
        self._unsafe()
        return HTMLResponse(render("label", self.token, name=shown(self.study.path.name)))

    def notes(self, request: Request) -> Response:
        self._review.refresh()
        self._tell()
        return JSONResponse({str(label): texts for label, texts in self._known.items()})

    def _tell(self) -> None:
        """Remember what the pages know of names and notes: what others change after that is not overwritten."""
        self._known = self._review.now().texts

    async def save_note(self, request: Request) -> Response:
        fields, cluster = await _content(request), request.path_params["cluster"]
        if not fields or not set(fields) <= set(LONGEST):
            raise UsageError("nothing to save; send name, note or both, and nothing else.")
        self._review.refresh()
        there = self._review.of(cluster)
        known = self._known.get(cluster, there)  # by this server's pages
        changed = {field: text for field, text in fields.items() if text != known[field]}
        if late := {f: there[f] for f, text in changed.items() if there[f] not in (known[f], text)}:
            told = " and ".join(f"its {field} is now '{text}'" for field, text in late.items())
            raise EditConflict(f"cluster {cluster} was changed by others meanwhile: {told}.", late)
        if changed:
            self._review.set(cluster, revision=self._review.revision, **changed)
        self._known[cluster] = {**known, **changed}
        return JSONResponse(self._review.of(cluster))

    async def edit(self, request: Request) -> Response:
        """Merge two clusters, split one, or take the last of that back; all at once or not at all."""
        wanted = {"merge": ("into", "other"), "split": ("cluster",), "undo": ()}
        edit, content = request.path_params["edit"], await _content(request)
        if edit not in wanted:
            raise UsageError(f"'{edit}' cannot be done; choose one of: {', '.join(wanted)}.")
        numbers = [content.get(name) for name in wanted[edit]]
        if any(type(number) is not int for number in numbers):
            raise UsageError(f"{edit} needs the numbers of clusters: {', '.join(wanted[edit])}.")
        getattr(self._review, edit)(*numbers)
        self._page = ""
        return JSONResponse({"edits": self._review.edits})

    def shot(self, request: Request) -> Response:
        """Answer a picture that the report has promised."""
        found = self._report.album.read(request.path_params["name"])
        if found is None:
            raise UsageError("there is no such picture.")
        return Response(found[0], media_type=found[1])

    def labels(self, request: Request) -> Response:
        """Answer all images to label, in the order of choice, with what is known about them."""
        labels, split = self._unsafe(), self.study.split("improvement")
        unsafe, names = view(self.study, self._review).selection, self._review.of
        images = [
            {
                "image": image,
                "cluster": f"{cluster} {shown(names(int(cluster))['name'])}".strip(),
                "path": shown(split.path[image]),
                "prediction": int(split.prediction[image]),
                "score": float(split.score[image]),
                "label": labels.of(image),
            }
            for image, cluster in dict(zip(unsafe.image.tolist(), unsafe.cluster.tolist())).items()
        ]
        return JSONResponse({"classes": [shown(name) for name in labels.class_names], "images": images})

    async def save_label(self, request: Request) -> Response:
        content = await _content(request)
        labels, image = self._unsafe(), request.path_params["image"]
        labels.set(image, content.get("label", "nothing"))
        return JSONResponse({"image": image, "label": labels.of(image)})

    def finish(self, request: Request) -> Response:
        """Put the labels given by hand into the study."""
        from hudd.study.labels import import_labels

        labels = self._unsafe()
        if not labels.file.exists():
            raise UsageError("no label has been given yet.")
        return JSONResponse({"new": import_labels(self.study, labels.file, overwrite=True)})

    def picture(self, request: Request) -> Response:
        """Answer a test error (by its row among the errors) or an image of the unsafe set (by its row)."""
        split, row = request.path_params["split"], request.path_params["row"]
        if split == "error" and row < len(self.study.errors):
            pixels = self.study.source("test").picture(int(self.study.errors[row]))
        elif split == "unsafe":
            self._unsafe().of(row)
            pixels = self.study.source("improvement").picture(row)
        else:
            raise UsageError("there is no such picture.")
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "png")
        return Response(buffer.getvalue(), media_type="image/png")

    def _unsafe(self) -> Labels:
        if self._labels is None:
            self._labels = Labels(self.study)
        return self._labels


async def _content(request: Request) -> dict[str, Any]:
    """Return the JSON object that the request carries."""
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UsageError("the request carries no JSON object.")
    return content
