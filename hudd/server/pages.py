"""What each address answers.

Nothing is read from disk by an address: pages, pictures and texts come from the open study, by number. Where the study
is changed by others, the next request finds it as it then is. Every change says what it is based on, so that nobody
changes what they have not seen.
"""

from __future__ import annotations

import io
import json
import threading
from dataclasses import asdict
from gettext import NullTranslations
from typing import TYPE_CHECKING, Any, NamedTuple

import xxhash
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hudd.errors import HuddError, UsageError
from hudd.language import spoken
from hudd.report.page import render
from hudd.report.report import LiveReport
from hudd.review.decisions import save_decision, saved_decisions
from hudd.review.labelling import Labels
from hudd.review.review import EditConflict, Review
from hudd.review.texts import LONGEST
from hudd.review.view import view
from hudd.store.seal import digest_of
from hudd.summary.conditions import cause_identifiers
from hudd.text import printable

if TYPE_CHECKING:
    from hudd.study import Study

_EDITS = {"merge": ("into", "other"), "split": ("cluster",), "undo": ()}
_TRIES = 5  # of composing a page while others change the study


async def refused(request: Request, error: Exception) -> Response:
    """Answer what cannot be done by a sentence; of what others have changed meanwhile, tell also what is there now."""
    if isinstance(error, EditConflict):
        return JSONResponse({"error": str(error), "now": error.changes}, 409)
    return PlainTextResponse(str(error), 400 if isinstance(error, UsageError) else 409)


class _Page(NamedTuple):
    """A report as it was composed last, and what edits on it are based on."""

    revision: str = ""
    text: str = ""


class _Opened:
    """The study as it was when its file was last read, and what people have made of it."""

    def __init__(self, study: Study, stored: str) -> None:
        self.study, self.stored = study, stored
        self.review, self.report = Review(study), LiveReport(study)
        found = study.clusters
        content = f"{found.layer} {found.label.tolist()} {found.medoid.tolist()}"
        self.clusters = xxhash.xxh3_64_hexdigest(content.encode())
        self.labels = Labels(study) if study.has("selection") and study.task.has_classes else None
        self.page = _Page()

    def compose(self) -> _Page:
        """Return the report with the clusters as they are now, the one that was last made where they are the same."""
        self.review.refresh()
        results = view(self.study, self.review)
        revision = self.revision(results.review.revision if results.review else 0)
        if self.page.revision != revision:
            self.page = _Page(revision, self.report.page(results, revision))
        return self.page

    def revision(self, number: int) -> str:
        """Return what a page is told to be made of: so many edits of these clusters."""
        return f"{number}-{self.clusters}"

    def based_on(self, revision: object) -> int:
        """Return the number of edits that a page's revision stands for; the page may show no other clusters."""
        number, _, clusters = revision.partition("-") if isinstance(revision, str) else ("", "", "")
        if not (number.isascii() and number.isdecimal() and len(number) < 10 and clusters):
            raise UsageError("a change of clusters needs the revision that the page shows.")
        if clusters != self.clusters:
            raise EditConflict("the errors were clustered again meanwhile.", {"edits": []})
        return int(number)


class Pages:
    """The answers. Everything runs in threads; saves are short and wait for each other.

    Parameters
    ----------
    study : Study
        A study that is clustered.
    translations : NullTranslations, optional
        What the pages are written in, English by default.
    """

    def __init__(self, study: Study, translations: NullTranslations | None = None) -> None:
        self._translations = translations or NullTranslations()
        self._opening, self._composing, self._finishing = (
            threading.RLock(),
            threading.Lock(),
            threading.Lock(),
        )
        self._there = _Opened(study, _stored(study))
        self.routes = [
            Route("/", self.report),
            Route("/notes", self.notes),
            Route("/notes/{cluster:int}", self.save_note, methods=["PUT"]),
            Route("/decisions", self.decisions),
            Route("/decisions/{condition:str}", self.save_decision, methods=["PUT"]),
            Route("/clusters/{edit:str}", self.edit, methods=["POST"]),
            Route("/shot/{name:str}", self.shot),
            Route("/label", self.label),
            Route("/labels", self.labels),
            Route("/labels/{image:int}", self.save_label, methods=["PUT"]),
            Route("/labels/finish", self.finish, methods=["POST"]),
            Route("/picture/{split}/{row:int}", self.picture),
        ]

    def _opened(self) -> _Opened:
        """Return the study, read again where others have changed it."""
        with self._opening:
            if (stored := _stored(self._there.study)) != self._there.stored:
                study = self._there.study
                self._there = _Opened(type(study).open(study.path), stored)
            return self._there

    # -- the report

    def report(self, request: Request) -> Response:
        """Answer the report, its clusters as edited."""
        with self._composing:
            for _ in range(_TRIES):
                opened = self._opened()
                with spoken(self._translations):
                    page = opened.compose()
                if opened is self._opened():  # else it may be made of two states of the study
                    return HTMLResponse(page.text)
        raise HuddError(f"'{opened.study.path}' is being changed by others; read the page again.")

    def notes(self, request: Request) -> Response:
        """Answer names and notes of all clusters, by the numbers that they have in ``revision`` or have now."""
        opened = self._opened()
        opened.review.refresh()
        number = opened.review.revision
        if "revision" in request.query_params:
            number = opened.based_on(request.query_params["revision"])
        texts = {str(label): found for label, found in opened.review.texts(number).items()}
        return JSONResponse({"revision": opened.revision(number), "clusters": texts})

    async def save_note(self, request: Request) -> Response:
        """Save a cluster's name, note or both: ``was`` holds the texts that they take the place of."""
        content, cluster = await _content(request), request.path_params["cluster"]
        revision, known = content.pop("revision", None), content.pop("was", None)
        if not content or not set(content) <= set(LONGEST):
            raise UsageError("nothing to save; send name, note or both, and nothing else.")
        if not isinstance(known, dict) or known.keys() != content.keys():
            raise UsageError("a change of texts needs those that they take the place of, as 'was'.")

        def save() -> Response:
            opened = self._opened()
            opened.review.set(cluster, revision=opened.based_on(revision), known=known, **content)
            return JSONResponse(content)

        return await run_in_threadpool(save)

    def decisions(self, request: Request) -> Response:
        """Answer what was decided about conditions, by their identifiers."""
        found = saved_decisions(self._opened().study.path)
        return JSONResponse({name: asdict(one) for name, one in found.items()})

    async def save_decision(self, request: Request) -> Response:
        """Save what was decided about a condition: ``was`` is what it takes the place of."""
        content, name = await _content(request), request.path_params["condition"]
        if not {"decision", "was"} <= set(content) <= {"decision", "reviewer", "was"}:
            raise UsageError("a decision needs decision, reviewer and was, that which it takes the place of.")
        known = content.pop("was")

        def save() -> Response:
            study = self._opened().study
            if name not in cause_identifiers(view(study)).values():
                raise UsageError(f"'{printable(name)}' is no condition of this study; read the page again.")
            save_decision(study.path, name, content if content["decision"] else None, known=known)
            found = saved_decisions(study.path)
            return JSONResponse(asdict(found[name]) if name in found else None)

        return await run_in_threadpool(save)

    async def edit(self, request: Request) -> Response:
        """Merge clusters, split one, or take the last of that back; all at once or not at all."""
        edit, content = request.path_params["edit"], await _content(request)
        if edit not in _EDITS:
            raise UsageError(f"'{edit}' cannot be done; choose one of: {', '.join(_EDITS)}.")
        numbers = [content.get(name) for name in _EDITS[edit]]
        if edit == "merge" and isinstance(numbers[-1], list):  # several into one
            numbers[-1:] = numbers[-1]
        if any(type(number) is not int for number in numbers):
            raise UsageError(f"{edit} needs the numbers of clusters: {', '.join(_EDITS[edit])}.")

        def save() -> Response:
            opened = self._opened()
            getattr(opened.review, edit)(*numbers, revision=opened.based_on(content.get("revision")))
            return JSONResponse({"edits": opened.review.edits})

        return await run_in_threadpool(save)

    def shot(self, request: Request) -> Response:
        """Answer a picture that the report has promised."""
        found = self._opened().report.album.read(request.path_params["name"])
        if found is None:
            raise UsageError("there is no such picture.")
        return Response(found[0], media_type=found[1])

    # -- the label page

    def label(self, request: Request) -> Response:
        """Answer the label page."""
        opened = self._opened()
        _unsafe(opened)
        with spoken(self._translations):
            return HTMLResponse(render("label", served=True, name=printable(opened.study.path.name)))

    def labels(self, request: Request) -> Response:
        """Answer all images to label, in the order of choice, with what is known about them."""
        opened = self._opened()
        labels, split = _unsafe(opened), opened.study.split("improvement")
        labels.refresh()
        opened.review.refresh()
        unsafe, names = view(opened.study, opened.review).selection, opened.review.now().texts
        images = [
            {
                "image": image,
                "cluster": f"{cluster} {printable(names[int(cluster)]['name'])}".strip(),
                "path": printable(split.path[image]),
                "prediction": int(split.prediction[image]),
                "score": float(split.score[image]),
                "label": labels.of(image),
            }
            for image, cluster in dict(zip(unsafe.image.tolist(), unsafe.cluster.tolist())).items()
        ]
        return JSONResponse({"classes": [printable(name) for name in labels.class_names], "images": images})

    async def save_label(self, request: Request) -> Response:
        """Save the label of an image: ``was`` is the one that it takes the place of."""
        content, image = await _content(request), request.path_params["image"]

        def save() -> Response:
            labels = _unsafe(self._opened())
            if content.get("was") is None:
                raise UsageError("a label needs the one that it takes the place of, as 'was'; -1 for none.")
            labels.set(image, content.get("label", "nothing"), known=content["was"])
            return JSONResponse({"image": image, "label": labels.of(image)})

        return await run_in_threadpool(save)

    def finish(self, request: Request) -> Response:
        """Put the labels given by hand into the study."""
        with self._finishing:  # the study's lock is the process's, not the thread's
            return JSONResponse({"new": _unsafe(self._opened()).put_into_study()})

    def picture(self, request: Request) -> Response:
        """Answer a test error (by its row among the errors) or an image of the unsafe set (by its row)."""
        opened, split, row = self._opened(), request.path_params["split"], request.path_params["row"]
        if split == "error" and row < len(opened.study.errors):
            pixels = opened.study.source("test").picture(int(opened.study.errors[row]))
        elif split == "unsafe":
            _unsafe(opened).of(row)
            pixels = opened.study.source("improvement").picture(row)
        else:
            raise UsageError("there is no such picture.")
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "png")
        return Response(buffer.getvalue(), media_type="image/png")


def _stored(study: Study) -> str:
    return digest_of(study.path / "study.h5")


def _unsafe(opened: _Opened) -> Labels:
    """Return the labels given by hand, or say that there is nothing to label yet."""
    return opened.labels or Labels(opened.study)


async def _content(request: Request) -> dict[str, Any]:
    """Return the JSON object that the request carries."""
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UsageError("the request carries no JSON object.")
    return content
