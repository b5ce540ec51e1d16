import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from hudd.errors import HuddError, UsageError
from hudd.review.labelling import Labels
from hudd.review.review import Review

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
from hudd.server import serve as server

pytestmark = pytest.mark.slow


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
        saved = client.put(f"/labels/{image}", json={"label": image % 3, "was": -1}).json()
        assert saved == {"image": image, "label": image % 3}
    assert client.put("/labels/2", json={"label": -1, "was": 2}).json()["label"] == -1
    with serving(study) as restarted:
        again = restarted.get("/labels").json()
    assert [one["label"] for one in again["images"][:4]] == [0, 1, -1, 0]
    lines = (study.path / "labels.csv").read_text().splitlines()
    assert lines[0] == "path,label,replaces"
    assert lines[1] == f"{study.split('improvement').path[0]},{study.class_names[0]},"
    assert lines[3] == f"{study.split('improvement').path[2]},,"
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
        "path,cluster,remark,label,replaces",
        f"{paths[0]},1,,{speed},",
        *(f"{row}," for row in kept),
        f"{paths[3]},,,,",
    ]
    assert [Labels(study).of(image) for image in (0, 3)] == [2, -1]


@pytest.mark.parametrize(
    "content", [{"label": 3}, {"label": -2}, {"label": "1"}, {"label": True}, {"label": 1.5}, {}, [1], "x"]
)
def test_wrong_labels_are_refused(client, study, content):
    was = {"was": -1} if isinstance(content, dict) else None
    assert client.put("/labels/0", json={**content, **was} if was else content).status_code == 400
    assert client.put("/labels/0", json={"label": 1, "was": content}).status_code == 400
    assert client.put("/labels/0", json={"label": 1}).status_code == 400
    assert client.put("/labels/50", json={"label": 1, "was": -1}).status_code == 400
    assert client.put("/labels/0", content=b"{").status_code == 400
    assert not (study.path / "labels.csv").exists()


def test_notes_stay_with_their_medoid(client, study):
    hostile = "</textarea><script>alert(1)</script>\n„two“ lines"
    assert client.write(2, name="<b>dark</b>", note=hostile).status_code == 200
    assert client.write(2, other="x", was={"other": ""}).status_code == 400
    assert client.write(2, name="x", was={"note": hostile}).status_code == 400
    assert client.write(9, name="x", was={"name": ""}).status_code == 400
    assert client.write(2, note="x" * 20_000).status_code == 400
    for content in ({}, {"was": {"name": ""}}, {"revision": client.revision()}):
        assert client.put("/notes/2", json={"name": "x", **content}).status_code == 400
    assert client.notes()["2"] == {"name": "<b>dark</b>", "note": hostile}
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
    assert '<meta name="hudd-revision"' not in text


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


@pytest.mark.timing
def test_serve_listens_on_loopback_and_tells_its_address(study, client_of, monkeypatch):
    told, made, ready = [], [], threading.Event()

    class Recorded(server.Server):
        def __init__(self, config):
            super().__init__(config)
            made.append(self)

    def hear(address):
        told.append(address)
        ready.set()

    monkeypatch.setattr(server, "Server", Recorded)
    thread = threading.Thread(target=server.serve, args=(study, "label"), kwargs={"ready": hear}, daemon=True)
    thread.start()
    assert ready.wait(600)
    address = told[0]
    assert address.startswith("http://127.0.0.1:")
    client = client_of(int(address.split(":")[2].split("/")[0]))
    path = address.split(str(client.port))[1]
    moved = client.get(path, headers={"X-Hudd-Token": ""})
    assert (moved.status_code, moved.headers["location"]) == (303, "/label")
    cookie = moved.headers["set-cookie"].split(";")[0]
    assert "unsafe set" in client.get("/label", headers={"X-Hudd-Token": "", "Cookie": cookie}).text
    assert client.get("/label", headers={"X-Hudd-Token": ""}).status_code == 403
    made[0].should_exit = True
    thread.join(600)
    assert not thread.is_alive()


def test_wrong_ways_to_serve(study, make_study):
    with pytest.raises(UsageError, match="report or label"):
        server.serve(study, "settings")
    with pytest.raises(UsageError, match="cannot listen"):
        server.serve(study, host="256.0.0.1")
    with pytest.raises(HuddError, match="selection"):
        server.serve(make_study(steps=()), "label")


def test_shots_are_what_the_report_promised(client, study):
    page = client.get("/").text
    row = int(study.clusters.medoid[0])
    assert f"/shot/error-{row}.webp" in page
    shot = client.get(f"/shot/error-{row}.webp")
    assert shot.headers["content-type"] == "image/webp"
    pixels = np.asarray(Image.open(io.BytesIO(shot.content)).convert("RGB"))
    np.testing.assert_array_equal(pixels, study.source("test").picture(int(study.errors[row])))
    assert Image.open(io.BytesIO(client.get(f"/shot/heat-0-{row}.png").content)).size == (7, 7)
    for wrong in ("error-9999.webp", "study.h5", "..%2fstudy.h5", "%2e%2e/%2e%2e/etc/passwd"):
        assert 400 <= client.get(f"/shot/{wrong}").status_code < 500
    assert client.get(f"/shot/error-{row}.webp", headers={"X-Hudd-Token": ""}).status_code == 403
