"""A fake study, served, and a client that sends what it is told to."""

import http.client
import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

TOKEN = "right-token"


@pytest.fixture
def study(make_study):
    study = make_study()
    study.path.mkdir()
    study.labels[:4] = -1
    return study


class Client:
    """Speaks HTTP to a server on this machine: paths and headers go out exactly as they are given."""

    def __init__(self, port):
        self.port = port

    def ask(self, method, path, headers=None, content=None, **more):
        if "json" in more:
            content = json.dumps(more["json"]).encode()
        lines = {"Host": f"127.0.0.1:{self.port}", "X-Hudd-Token": TOKEN, **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.putrequest(method, path, skip_host=True)
        for name, value in lines.items():
            connection.putheader(name, value)
        if content is not None:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return SimpleNamespace(
            status_code=answer.status,
            headers={name.lower(): value for name, value in answer.getheaders()},
            content=body,
            text=body.decode("utf-8", "replace"),
            json=lambda: json.loads(body),
        )

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def put(self, path, **more):
        return self.ask("PUT", path, **more)

    def revision(self):
        """What a page that is opened now shows, which edits are based on."""
        return self.get("/notes").json()["revision"]

    def notes(self, revision=None):
        return self.get(f"/notes?revision={revision}" if revision else "/notes").json()["clusters"]

    def edit(self, kind, revision=None, **content):
        revision = self.revision() if revision is None else revision
        return self.ask("POST", f"/clusters/{kind}", json={**content, "revision": revision})

    def write(self, cluster, revision=None, was=None, **texts):
        """Save a name or a note in place of what is there, or of what is said to be."""
        now = self.get("/notes").json()
        was = {field: now["clusters"][str(cluster)][field] for field in texts} if was is None else was
        revision = now["revision"] if revision is None else revision
        return self.put(f"/notes/{cluster}", json={**texts, "was": was, "revision": revision})


@pytest.fixture
def client_of():
    """Returns a function that makes a client of the server on a port."""
    return Client


@pytest.fixture
def serving(running):
    """Makes a client of a study's server."""

    @contextmanager
    def open_client(study):
        with running(study) as (address, _):
            yield Client(int(address.rsplit(":", 1)[1]))

    return open_client


@pytest.fixture
def client(study, serving):
    with serving(study) as client:
        yield client
