"""Decisions about conditions that the served report saves."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest

from hudd.errors import HuddError, UsageError
from hudd.review.decisions import NAME, Decision, read_decisions, save_decision, saved_decisions
from hudd.review.review import EditConflict

ACCEPTED = {"decision": "accepted", "reviewer": "A. Reviewer"}


def test_a_decision_is_saved_replaced_and_taken_back(tmp_path):
    assert saved_decisions(tmp_path) == {}
    save_decision(tmp_path, "TC-1", ACCEPTED, known=None)
    save_decision(tmp_path, "TC-2", {"decision": "rejected", "reviewer": 'B "quoted": é'}, known=None)
    today = datetime.date.today().isoformat()
    found = saved_decisions(tmp_path)
    assert found == {
        "TC-1": Decision("accepted", "A. Reviewer", today),
        "TC-2": Decision("rejected", 'B "quoted": é', today),
    }
    assert read_decisions(tmp_path / NAME) == found  # the file that people may write
    save_decision(tmp_path, "TC-1", None, known={**ACCEPTED, "date": today})
    assert list(saved_decisions(tmp_path)) == ["TC-2"]
    save_decision(
        tmp_path, "TC-2", None, known={"decision": "rejected", "reviewer": 'B "quoted": é', "date": today}
    )
    assert saved_decisions(tmp_path) == {}


def test_what_others_have_decided_is_not_replaced(tmp_path):
    save_decision(tmp_path, "TC-1", ACCEPTED, known=None)
    with pytest.raises(EditConflict, match=r"'TC-1' was accepted \(A. Reviewer\) by others") as caught:
        save_decision(tmp_path, "TC-1", {"decision": "rejected", "reviewer": "B"}, known=None)
    assert caught.value.changes["decision"]["reviewer"] == "A. Reviewer"
    with pytest.raises(EditConflict, match="'TC-2' was taken back by others"):
        save_decision(tmp_path, "TC-2", ACCEPTED, known={**ACCEPTED, "date": "2026-01-01"})
    assert list(saved_decisions(tmp_path)) == ["TC-1"]


def test_none_is_lost_that_are_saved_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: save_decision(tmp_path, f"TC-{n}", ACCEPTED, known=None), range(24)))
    assert len(saved_decisions(tmp_path)) == 24


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"decision": "maybe", "reviewer": "A"}, "choose one of: accepted, rejected"),
        ({"decision": "accepted", "reviewer": " "}, "reviewer of 'TC-1' is missing"),
        ({"decision": "accepted", "reviewer": "x" * 121}, "longer than 120"),
        ({"decision": "accepted", "reviewer": ["A"]}, "reviewer of 'TC-1' is missing"),
        ({"decision": "accepted"}, "needs the keys"),
    ],
)
def test_what_is_no_decision_is_refused(tmp_path, entry, told):
    with pytest.raises(UsageError, match=told):
        save_decision(tmp_path, "TC-1", entry, known=None)
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("content", ["[", "TC-1: accepted", "- a", "{TC-1: {decision: accepted}}"])
def test_a_damaged_file_is_told_and_kept(tmp_path, content):
    (tmp_path / NAME).write_text(content)
    for attempt in (
        lambda: saved_decisions(tmp_path),
        lambda: save_decision(tmp_path, "TC-1", ACCEPTED, known=None),
    ):
        with pytest.raises(HuddError, match=r"decisions\.yaml"):
            attempt()
    assert (tmp_path / NAME).read_text() == content


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "other.yaml").write_text("TC-1: {decision: accepted, reviewer: A, date: 2026-01-01}")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / NAME).symlink_to(tmp_path / "other.yaml")
    with pytest.raises(HuddError):
        saved_decisions(tmp_path / "study")
