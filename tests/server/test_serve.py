import http.client
import io
import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from hudd.errors import HuddError, UsageError
from hudd.review.labelling import Labels
from hudd.review.review import Review

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
from hudd.server import serve as server

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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
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


@pytest.mark.parametrize("path", ["/", "/label", "/notes", "/labels", "/picture/error/0", "/nowhere"])
def test_no_token_no_answer(client, path):
    for headers in ({"X-Hudd-Token": ""}, {"X-Hudd-Token": "wrong"}, {"X-Hudd-Token": "é".encode()}):
        assert client.get(path, headers=headers).status_code == 403
    assert client.get(f"{path}?token=wrong", headers={"X-Hudd-Token": ""}).status_code == 403
    assert client.put("/labels/0", headers={"X-Hudd-Token": ""}, json={"label": 1}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:9", "127.0.0.1", "localhost.evil:{port}", ""]
)
def test_foreign_host_is_refused(client, host):
    assert client.get("/notes", headers={"Host": host.format(port=client.port)}).status_code == 421


def test_own_names_are_answered(client):
    for host in ("127.0.0.1", "localhost", "LOCALHOST"):
        assert client.get("/notes", headers={"Host": f"{host}:{client.port}"}).status_code == 200
    assert client.get(f"/notes?token={TOKEN}", headers={"X-Hudd-Token": ""}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/study.h5",
        "/../study.h5",
        "/picture/..%2f..%2fetc%2fpasswd/0",
        "/picture/error/../../../etc/passwd",
        "/picture/error/99999",
        "/picture/error/-1",
        "/picture/unsafe/50",
        "/picture/train/0",
        "/static/../../secret",
        "//etc/passwd",
        "/%00",
    ],
)
def test_nothing_outside_is_served(client, study, path):
    (study.path / "study.h5").write_text("secret")
    answer = client.get(path)
    assert 400 <= answer.status_code < 500
    assert "root:" not in answer.text
    assert answer.text != "secret"


def test_pictures_are_the_study_s(client, study):
    answer = client.get("/picture/error/3")
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
    np.testing.assert_array_equal(pixels, study.source("test").picture(int(study.errors[3])))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_labels_are_there_after_a_restart(client, study, serving):
    start = client.get("/labels").json()
    assert start["classes"] == study.class_names
    assert [one["image"] for one in start["images"]] == study.selection.image.tolist()
    assert [one["label"] for one in start["images"][:4]] == [-1] * 4
    for image in range(4):
        saved = client.put(f"/labels/{image}", json={"label": image % 3}).json()
        assert saved == {"image": image, "label": image % 3}
    assert client.put("/labels/2", json={"label": -1}).json()["label"] == -1
    with serving(study) as restarted:
        again = restarted.get("/labels").json()
    assert [one["label"] for one in again["images"][:4]] == [0, 1, -1, 0]
    lines = (study.path / "labels.csv").read_text().splitlines()
    assert lines[0] == "path,label"
    assert lines[1] == f"{study.split('improvement').path[0]},{study.class_names[0]}"
    assert lines[3] == f"{study.split('improvement').path[2]},"
    assert len(lines) == 5


def test_labels_of_another_selection_are_kept(study):
    paths, (stop, speed) = study.split("improvement").path, (study.class_names[0], study.class_names[2])
    file = study.path / "labels.csv"
    kept = [
        f'elsewhere.png,2,"dark, wet",{stop}',
        f"{paths[40]},5,,a class of old",
        f"{paths[41]},1,,{speed}",
    ]
    file.write_text(
        "\ufeff" + "\n".join(["path,cluster,remark,label", f"{paths[0]},1,,{stop}", *kept]) + "\n"
    )
    labels = Labels(study)
    assert labels.of(0) == 0
    labels.set(0, 2)
    labels.set(3, 1)
    labels.set(3, -1)
    assert file.read_text().splitlines() == [
        "path,cluster,remark,label",
        f"{paths[0]},1,,{speed}",
        *kept,
        f"{paths[3]},,,",
    ]
    assert [Labels(study).of(image) for image in (0, 3)] == [2, -1]


@pytest.mark.parametrize(
    "content", [{"label": 3}, {"label": -2}, {"label": "1"}, {"label": True}, {"label": 1.5}, {}, [1], "x"]
)
def test_wrong_labels_are_refused(client, study, content):
    assert client.put("/labels/0", json=content).status_code == 400
    assert client.put("/labels/50", json={"label": 1}).status_code == 400
    assert client.put("/labels/0", content=b"{").status_code == 400
    assert not (study.path / "labels.csv").exists()


def test_long_bodies_are_refused(client):
    assert client.put("/notes/1", json={"note": "x" * 20_000}).status_code == 400
    assert client.put("/notes/1", content=b"x" * 100_000).status_code == 413


def test_notes_stay_with_their_medoid(client, study):
    hostile = "</textarea><script>alert(1)</script>\n„two“ lines"
    assert client.put("/notes/2", json={"name": "<b>dark</b>", "note": hostile}).status_code == 200
    assert client.put("/notes/2", json={"other": "x"}).status_code == 400
    assert client.put("/notes/9", json={"name": "x"}).status_code == 400
    assert client.get("/notes").json()["2"] == {"name": "<b>dark</b>", "note": hostile}
    page = client.get("/").text
    assert "&lt;b&gt;dark&lt;/b&gt;" in page
    assert page.count("<script") == 1
    study.clusters.medoid[[0, 1]] = study.clusters.medoid[[1, 0]]
    assert Review(study).of(1)["name"] == "<b>dark</b>"
    assert Review(study).of(2)["name"] == ""


def test_static_report_shows_names_and_notes(study):
    from hudd.report import write_report

    Review(study).set(1, name="too <dark>", note="seen at night\nonly")
    text = write_report(study).read_text()
    assert "too &lt;dark&gt;" in text
    assert '<p class="note">seen at night\nonly</p>' in text
    assert "<textarea" not in text
    assert '<meta name="hudd-token"' not in text


def test_broken_files_are_named(study):
    (study.path / "review.json").write_text("{")
    with pytest.raises(HuddError, match=r"review\.json"):
        Review(study)
    (study.path / "review.json").write_text(json.dumps({"clusters": [1]}))
    with pytest.raises(HuddError, match=r"review\.json"):
        Review(study)
    for content in (b"\xff\xfe", b"file,label\na,b\n", b"path,label\na,b,c\n"):
        (study.path / "labels.csv").write_bytes(content)
        with pytest.raises(HuddError, match=r"labels\.csv"):
            Labels(study)


def test_a_study_without_selection_has_no_label_page(make_study, serving):
    with serving(make_study(steps=())) as client:
        assert client.get("/label").status_code == 409
        assert client.get("/").status_code == 200


def test_serve_listens_on_loopback_and_tells_its_address(study):
    import uvicorn

    told, made = [], []
    original = uvicorn.Server

    class Recorded(original):
        def __init__(self, config):
            super().__init__(config)
            made.append(self)

    ready = threading.Event()

    def hear(address):
        told.append(address)
        ready.set()

    uvicorn.Server = Recorded
    try:
        thread = threading.Thread(
            target=server.serve, args=(study, "label"), kwargs={"ready": hear}, daemon=True
        )
        thread.start()
        assert ready.wait(10)
        address = told[0]
        assert address.startswith("http://127.0.0.1:")
        client = Client(int(address.split(":")[2].split("/")[0]))
        path = address.split(str(client.port))[1]
        assert "unsafe set" in client.get(path, headers={"X-Hudd-Token": ""}).text
        assert client.get(path.split("?")[0], headers={"X-Hudd-Token": ""}).status_code == 403
        made[0].should_exit = True
        thread.join(10)
        assert not thread.is_alive()
    finally:
        uvicorn.Server = original


def test_wrong_ways_to_serve(study, make_study):
    with pytest.raises(UsageError, match="report or label"):
        server.serve(study, "settings")
    with pytest.raises(UsageError, match="cannot listen"):
        server.serve(study, host="256.0.0.1")
    with pytest.raises(HuddError, match="selection"):
        server.serve(make_study(steps=()), "label")


def test_clusters_are_edited(client, study):
    assert client.ask("POST", "/clusters/merge", json={"into": 2, "other": 1}).json() == {"edits": 1}
    assert client.ask("POST", "/clusters/split", json={"cluster": 3}).json() == {"edits": 2}
    assert sorted(client.get("/notes").json()) == ["2", "3", "4"]
    page = client.get("/").text
    assert 'id="cluster-1"' not in page
    assert 'id="cluster-4"' in page
    clusters = {one["cluster"] for one in client.get("/labels").json()["images"]}
    assert clusters <= {"2", "3", "4"}
    client.put("/notes/2", json={"name": "glare"})
    assert "2 glare" in {one["cluster"] for one in client.get("/labels").json()["images"]}
    assert client.ask("POST", "/clusters/undo", json={}).json() == {"edits": 1}
    assert client.ask("POST", "/clusters/undo", json={}).json() == {"edits": 0}
    assert client.ask("POST", "/clusters/undo", json={}).status_code == 400
    assert 'id="cluster-1"' in client.get("/").text


@pytest.mark.parametrize(
    ("edit", "content"),
    [
        ("merge", {"into": 1}),
        ("merge", {"into": 1, "other": 1}),
        ("merge", {"into": 1, "other": 9}),
        ("merge", {"into": True, "other": 2}),
        ("split", {"cluster": "1"}),
        ("split", {"cluster": 0}),
        ("split", [1]),
        ("undo", {}),
        ("__class__", {}),
        ("set", {"cluster": 1}),
    ],
)
def test_wrong_edits_are_refused(client, study, edit, content):
    assert client.ask("POST", f"/clusters/{edit}", json=content).status_code == 400
    assert client.ask("POST", f"/clusters/{edit}", headers={"X-Hudd-Token": "x"}, json={}).status_code == 403
    assert client.get(f"/clusters/{edit}").status_code == 405
    assert not (study.path / "review.json").exists()


def test_shots_are_what_the_report_promised(client, study):
    page = client.get("/").text
    row = int(study.clusters.medoid[0])
    assert f"/shot/error-{row}.webp?token=" in page
    shot = client.get(f"/shot/error-{row}.webp")
    assert shot.headers["content-type"] == "image/webp"
    pixels = np.asarray(Image.open(io.BytesIO(shot.content)).convert("RGB"))
    np.testing.assert_array_equal(pixels, study.source("test").picture(int(study.errors[row])))
    assert Image.open(io.BytesIO(client.get(f"/shot/heat-0-{row}.png").content)).size == (7, 7)
    for wrong in ("error-9999.webp", "study.h5", "..%2fstudy.h5", "%2e%2e/%2e%2e/etc/passwd"):
        assert 400 <= client.get(f"/shot/{wrong}").status_code < 500
    assert client.get(f"/shot/error-{row}.webp", headers={"X-Hudd-Token": ""}).status_code == 403


def test_two_served_pages_lose_nothing(study, serving):
    with serving(study) as one, serving(study) as two:
        for page in (one, two):
            page.get("/notes")
        assert one.put("/notes/1", json={"name": "glare", "note": ""}).status_code == 200
        assert two.put("/notes/1", json={"name": "", "note": "at noon"}).status_code == 200
        late = two.put("/notes/1", json={"name": "dark", "note": "at noon"})
        assert late.status_code == 409
        assert "its name is now 'glare'" in late.text
        assert Review(study).of(1) == {"name": "glare", "note": "at noon"}


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 30_000,
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u001b"}',
        b'{"cluster": 1}',
        b'{"name": [1]}',
        b"\xff",
    ],
)
def test_what_cannot_be_kept_is_refused(client, study, content):
    assert client.put("/notes/1", content=content).status_code == 400
    assert not (study.path / "review.jsonl").exists()
