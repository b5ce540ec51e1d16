"""Names, notes, merges, splits and labels on served pages: none is lost, none is of what nobody saw."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from hudd.review.decisions import saved_decisions
from hudd.review.labelling import Labels
from hudd.review.review import Review
from hudd.review.view import view
from hudd.summary.conditions import cause_identifiers

pytestmark = pytest.mark.slow

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")


def test_clusters_are_edited(client, study):
    assert client.edit("merge", into=2, other=1).json() == {"edits": 1}
    assert client.edit("split", cluster=3).json() == {"edits": 2}
    assert sorted(client.notes()) == ["2", "3", "4"]
    page = client.get("/").text
    assert 'id="cluster-1"' not in page
    assert 'id="cluster-4"' in page
    clusters = {one["cluster"] for one in client.get("/labels").json()["images"]}
    assert clusters <= {"2", "3", "4"}
    client.write(2, name="glare")
    assert "2 glare" in {one["cluster"] for one in client.get("/labels").json()["images"]}
    assert client.edit("undo").json() == {"edits": 1}
    assert client.edit("undo").json() == {"edits": 0}
    assert client.edit("undo").status_code == 400
    assert 'id="cluster-1"' in client.get("/").text


def test_several_clusters_are_merged_and_put_back_at_once(client, study):
    before = client.revision()
    assert client.edit("merge", into=2, other=[1, 3]).json() == {"edits": 1}
    assert sorted(client.notes()) == ["2"]
    late = client.edit("split", revision=before, cluster=3)
    assert late.status_code == 409
    assert "clusters 1 and 3 were merged into 2" in late.json()["error"]
    assert len((study.path / "review.jsonl").read_text().splitlines()) == 2  # the first says what the file is
    assert client.edit("undo").json() == {"edits": 0}
    assert sorted(client.notes()) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("edit", "content"),
    [
        ("merge", {"into": 1}),
        ("merge", {"into": 1, "other": 1}),
        ("merge", {"into": 1, "other": 9}),
        ("merge", {"into": True, "other": 2}),
        ("merge", {"into": 1, "other": []}),
        ("merge", {"into": 1, "other": [2, 2]}),
        ("merge", {"into": 1, "other": [2, "3"]}),
        ("merge", {"into": [1, 2], "other": 3}),
        ("split", {"cluster": [1, 2]}),
        ("split", {"cluster": "1"}),
        ("split", {"cluster": 0}),
        ("split", [1]),
        ("undo", {}),
        ("__class__", {}),
        ("set", {"cluster": 1}),
    ],
)
def test_wrong_edits_are_refused(client, study, edit, content):
    based = {**content, "revision": client.revision()} if isinstance(content, dict) else content
    assert client.ask("POST", f"/clusters/{edit}", json=based).status_code == 400
    assert client.ask("POST", f"/clusters/{edit}", headers={"X-Hudd-Token": "x"}, json={}).status_code == 403
    assert client.get(f"/clusters/{edit}").status_code == 405
    assert not (study.path / "review.jsonl").exists()


@pytest.mark.parametrize("revision", [None, 3, "", "0", "-1-x", "x-y", "0-", "١-x", ["0"], "9" * 5000 + "-x"])
def test_an_edit_says_what_it_is_based_on(client, study, revision):
    edits = {"merge": {"into": 2, "other": 1}, "split": {"cluster": 3}, "undo": {}}
    for edit, content in edits.items():
        answer = client.ask("POST", f"/clusters/{edit}", json={**content, "revision": revision})
        assert answer.status_code == 400
        assert "needs the revision that the page shows" in answer.text
    assert not (study.path / "review.jsonl").exists()


STALE = {
    # what the first page does, what the second one then does, and what it is told; "" where both are kept
    "merge, merge of the same": (("merge", 2, 1), ("merge", 3, 1), "cluster 1 was merged into 2"),
    "merge, merge into it": (("merge", 2, 1), ("merge", 2, 3), "cluster 1 was merged into 2"),
    "merge, split": (("merge", 2, 1), ("split", 2), "cluster 1 was merged into 2"),
    "split, split": (("split", 1), ("split", 1), "cluster 1 was split"),
    "split, merge": (("split", 1), ("merge", 1, 2), "cluster 1 was split"),
    "split, split of another": (("split", 1), ("split", 2), ""),
    "merge, split of another": (("merge", 2, 1), ("split", 3), ""),
    "split, undo": (("split", 1), ("undo",), "cluster 1 was split"),
}
NUMBERS = {"merge": ("into", "other"), "split": ("cluster",), "undo": ()}


@pytest.mark.parametrize("name", STALE)
@pytest.mark.parametrize("servers", ["one server", "two servers"])
def test_an_edit_of_what_the_page_does_not_show_is_told(study, serving, name, servers):
    first, second, told = STALE[name]
    Review(study).split(3)  # there is something to undo
    with serving(study) as one, serving(study) as other:
        two = one if servers == "one server" else other
        seen = {id(page): page.revision() for page in (one, two)}
        answers = []
        for page, (kind, *clusters) in ((one, first), (two, second)):
            content = dict(zip(NUMBERS[kind], clusters))
            answers.append(page.edit(kind, revision=seen[id(page)], **content))
        assert answers[0].status_code == 200
        assert answers[1].status_code == (409 if told else 200)
        if told:
            error = answers[1].json()
            assert error["error"].startswith("the clusters were changed by others meanwhile: ")
            assert told in error["error"]
            assert error["now"]["edits"]
    assert Review(study).edits == (2 if told else 3)


def test_a_page_of_clusters_that_were_found_anew_is_told(client, study):
    seen = client.revision()
    study.clusters.medoid[[0, 1]] = study.clusters.medoid[[1, 0]]
    study.path.joinpath("study.h5").write_bytes(
        b"\nhudd-study xxh3_128 " + b"0" * 32 + b"\n"
    )  # as if stored again
    for answer in (
        client.edit("merge", revision=seen, into=1, other=2),
        client.write(1, revision=seen, name="dark"),
        client.get(f"/notes?revision={seen}"),
    ):
        assert answer.status_code == 409
        assert "the errors were clustered again meanwhile" in answer.json()["error"]
    assert client.edit("merge", into=1, other=2).status_code == 200


def test_a_journal_that_was_moved_away_is_told(client, study):
    client.edit("split", cluster=1)
    seen = client.revision()
    (study.path / "review.jsonl").rename(study.path / "elsewhere")
    answer = client.edit("split", revision=seen, cluster=2)
    assert answer.status_code == 409
    assert "it was replaced meanwhile" in answer.json()["error"]


@pytest.mark.parametrize("servers", ["one server", "two servers"])
def test_two_pages_lose_no_text(study, serving, servers):
    with serving(study) as one, serving(study) as other:
        two = one if servers == "one server" else other
        seen = one.revision()
        assert two.revision() == seen
        assert one.write(1, revision=seen, name="glare", was={"name": ""}).status_code == 200
        assert two.write(1, revision=seen, note="at noon", was={"note": ""}).status_code == 200
        late = two.write(1, revision=seen, name="dark", was={"name": ""})
        assert late.status_code == 409
        assert late.json()["error"].endswith("its name is now 'glare'.")
        assert late.json()["now"] == {"name": "glare"}
        assert Review(study).of(1) == {"name": "glare", "note": "at noon"}
        assert two.write(1, revision=seen, name="dark", was=late.json()["now"]).status_code == 200
    assert Review(study).of(1) == {"name": "dark", "note": "at noon"}


def test_texts_are_of_the_clusters_that_the_page_shows(client, study):
    seen, review = client.revision(), Review(study)
    review.set(1, name="one")
    review.merge(2, 1)
    review.split(2)
    page = client.get("/").text
    assert client.revision() in page
    assert seen not in page
    assert sorted(client.notes(seen)) == ["1", "2", "3"]
    assert client.notes(seen)["1"]["name"] == "one"
    late = client.write(1, revision=seen, name="other", was={"name": "one"})
    assert late.status_code == 409
    assert "cluster 1 was merged into 2" in late.json()["error"]
    assert client.write(3, revision=seen, name="three").status_code == 200


@pytest.mark.parametrize("servers", ["one server", "two servers"])
def test_two_label_pages_lose_no_label(study, serving, servers):
    with serving(study) as one, serving(study) as other:
        two = one if servers == "one server" else other
        pages, images = (one, two), [one["image"] for one in one.get("/labels").json()["images"]]
        before = {image: Labels(study).of(image) for image in images}

        def label(at):
            content = {"label": at % 3, "was": before[images[at]]}
            return pages[at % 2].put(f"/labels/{images[at]}", json=content).status_code

        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(label, range(len(images)))) == {200}
        given = Labels(study)
        assert [given.of(image) for image in images] == [at % 3 for at in range(len(images))]
        late = two.put(f"/labels/{images[0]}", json={"label": 2, "was": before[images[0]]})
        assert late.status_code == 409
        assert late.json()["now"] == {"label": 0}
        assert f"it is '{study.class_names[0]}' now" in late.json()["error"]
        assert two.put(f"/labels/{images[0]}", json={"label": 0, "was": before[images[0]]}).status_code == 200
        assert two.put(f"/labels/{images[0]}", json={"label": 2, "was": 0}).status_code == 200
        shown = {one["image"]: one["label"] for one in one.get("/labels").json()["images"]}
        assert shown[images[0]] == 2


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
    with_all = content.replace(b"{", json.dumps({"revision": client.revision()}).encode()[:-1] + b", ")
    with_all = with_all.replace(b"}", b', "was": {"name": ""}}')
    for sent in (content, with_all):
        assert client.put("/notes/1", content=sent).status_code == 400
    assert not (study.path / "review.jsonl").exists()


def test_decisions_about_conditions_are_saved(client, study):
    name = next(iter(cause_identifiers(view(study)).values()))
    assert client.get("/decisions").json() == {}
    content = {"decision": "accepted", "reviewer": "A. Reviewer", "was": None}
    saved = client.put(f"/decisions/{name}", json=content)
    assert saved.status_code == 200
    assert client.get("/decisions").json() == {name: saved.json()}
    assert saved_decisions(study.path)[name].reviewer == "A. Reviewer"
    late = client.put(f"/decisions/{name}", json={**content, "decision": "rejected"})
    assert late.status_code == 409
    assert late.json()["now"] == {"decision": saved.json()}
    assert client.put(f"/decisions/{name}", json={"decision": "", "was": saved.json()}).json() is None
    assert client.get("/decisions").json() == {}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "TC-000000000000",
            {"decision": "accepted", "reviewer": "A", "was": None},
            "no condition of this study",
        ),
        (None, {"decision": "maybe", "reviewer": "A", "was": None}, "choose one of: accepted, rejected"),
        (None, {"decision": "accepted", "reviewer": "", "was": None}, "reviewer of"),
        (None, {"decision": "accepted", "was": None}, "needs the keys"),
        (None, {"decision": ["accepted"], "reviewer": "A", "was": None}, "choose one of"),
        (None, {"decision": "accepted", "reviewer": "A"}, "a decision needs"),
        (
            None,
            {"decision": "accepted", "reviewer": "A", "was": None, "date": "2026-01-01"},
            "a decision needs",
        ),
    ],
)
def test_what_is_no_decision_is_refused(client, study, name, content, told):
    name = name or next(iter(cause_identifiers(view(study)).values()))
    refused = client.put(f"/decisions/{name}", json=content)
    assert refused.status_code == 400
    assert told in refused.text
    assert saved_decisions(study.path) == {}
