"""A judge set: taken from the test set or given, read by no step that chooses, told of first."""

import json
import shutil

import numpy as np
import pytest

from hudd.cli import call
from hudd.data import open_source
from hudd.errors import HuddError, UsageError
from hudd.report import write_report
from hudd.selection import closest_members
from hudd.study import STEPS, Study
from hudd.study.strategy_comparison import strategy_comparison, write_comparison
from hudd.study.study import GRAPH
from hudd.summary import headline, mean_errors

pytestmark = pytest.mark.slow


def write_other(material, path, count, seed):
    """Write some test images with other pixels."""
    arrays = {
        name: values[:count] for name, values in np.load(material["test"]).items() if name != "class_names"
    }
    noise = np.random.default_rng(seed).integers(0, 20, arrays["images"].shape, dtype=np.uint8)
    np.savez(
        path, **arrays | {"images": arrays["images"] + noise}, class_names=np.array(["ant", "bee", "cat"])
    )
    return str(path)


@pytest.fixture(scope="module")
def _judged(tmp_path_factory, material):
    path = tmp_path_factory.mktemp("judged") / "study"
    return Study.create(path, **material, judge_share=0.4).run().path


@pytest.fixture
def judged(_judged):
    """A finished study with a judge set taken from the test set, for reading only."""
    return Study.open(_judged)


def test_it_is_taken_from_the_test_set_class_by_class(judged, material):
    test, judge = judged.split("test"), judged.split("judge")
    whole = open_source(material["test"])
    assert sorted(test.path + judge.path) == sorted(whole.paths)
    for label in range(3):
        assert abs((judge.label == label).sum() - 0.4 * (whole.labels == label).sum()) <= 1
    assert len(judged.errors) == (~test.correct).sum()


def test_it_is_placed_among_the_clusters_by_what_was_clustered(judged):
    from hudd.study.steps.relevance import Relevance

    rows = np.arange(len(judged.split("judge").path))
    images = np.concatenate(list(Relevance(judged.inputs, "judge").of(rows)))
    members = np.asarray(judged.heatmaps_of(judged.chosen_layer)[:])
    found = closest_members(images, members, judged.clusters.label, unit_norm=True)
    column = found.distance.argmin(axis=1)
    with judged.file.reading() as h5:
        group = h5["judge"]
        np.testing.assert_array_equal(group["member"][...], found.member[rows, column])
        np.testing.assert_allclose(group["distance"][...], found.distance[rows, column], rtol=1e-5)
        inside = found.distance[rows, column] <= found.reach[column]
        np.testing.assert_array_equal(group["inside"][...], inside)


def test_retraining_is_told_on_it(judged):
    from hudd.capture.loading import load_model
    from hudd.retraining import predict

    run = judged.retraining["hudd"][0]
    kept = load_model(judged.settings.model, str(judged.path / "models" / run["weights"])).module
    source = judged.source("judge")
    after = predict(kept, source).prediction == source.labels
    np.testing.assert_array_equal(run["judge"]["after"], after)
    np.testing.assert_array_equal(run["judge"]["before"], judged.split("judge").correct)
    assert run["judge"]["accuracy_after"] == pytest.approx(after.mean())


def test_nothing_else_reads_it(judged, material, tmp_path):
    """Other judge images change the marks of what is told of them, and no other."""
    marks = {}
    for seed in (7, 8):
        other = write_other(material, tmp_path / f"{seed}.npz", 50, seed)
        study = Study(judged.path, judged.settings.changed(judge_share=None, judge=other))
        found = [GRAPH[step].fingerprint(study.inputs, study.journal) for step in STEPS]
        marks[seed] = {key: mark for one in found for key, mark in one.items()}
    differing = {key for key in marks[7] if marks[7][key] != marks[8][key]}
    assert differing == {"test/judge", "judge", "retrain/hudd/0"}


def test_the_rows_are_found_again_without_looking_at_images(judged, monkeypatch):
    monkeypatch.setattr("hudd.study.intake.groups_of", None)
    before = judged.marks()
    Study.open(judged.path).run()
    assert judged.marks() == before


def test_summaries_and_json_tell_of_it_first(judged):
    summary = judged.summary()
    json.dumps(summary, allow_nan=False)
    assert summary["judge"]["images"] == len(judged.split("judge").path)
    assert summary["chosen_on"] == "test"
    row = summary["retraining"][0]
    assert list(row).index("judge_after") < list(row).index("accuracy_after")
    causes = summary["judge_causes"]
    assert sum(cause["images"] for cause in causes) == summary["judge"]["images"]
    assert sum(cause["failures"] for cause in causes) == summary["judge"]["errors"]


def test_a_given_set_and_what_is_refused(material, tmp_path):
    settings = {**material, "judge": write_other(material, tmp_path / "judge.npz", 40, 9)}
    study = Study.create(tmp_path / "given", **settings).test()
    assert len(study.split("judge").path) == 40
    assert len(study.split("test").path) == 120
    for changes, message in {
        "judge": "there is one judge set; give one of them",
        "groups": "nothing is taken from the test set; give judge_share too",
        "same": "`judge` and `test` are the same images",
        "train": "`judge` and `train` are the same images",
    }.items():
        given = {
            "judge": {"judge_share": 0.5},
            "groups": {"judge_groups": "width"},
            "same": {"judge": material["test"]},
            "train": {"judge": material["train"]},
        }[changes]
        with pytest.raises(UsageError, match=message):
            study.configure(**given).test()


def test_groups_that_cannot_be_divided_are_refused(material, tmp_path):
    arrays = dict(np.load(material["test"]))
    np.savez(tmp_path / "one.npz", **arrays, drive=np.ones(len(arrays["labels"])))
    settings = {**material, "test": str(tmp_path / "one.npz"), "judge_share": 0.5, "judge_groups": "drive"}
    with pytest.raises(UsageError, match="leaves one of the two sets empty"):
        Study.create(tmp_path / "new", **settings)


def test_the_report_tells_of_it_first(judged, tmp_path):
    text = write_report(judged, tmp_path / "page.html").read_text("utf-8")
    assert "On the judge set" in text
    assert text.index("On the judge set, ") < text.index("brought test accuracy")
    assert text.index("Accuracy on the judge set") < text.index("Test accuracy before retraining")
    assert "these images chose the clusters" in text
    assert "Judge images near each cause" in text


def test_show_tells_of_it_first(judged, capsys):
    names = list(headline(judged))
    assert names.index("judge errors") < names.index("judge accuracy, hudd") < names.index("accuracy, hudd")
    assert call(["show", str(judged.path)]) == 0
    shown = capsys.readouterr().out
    assert "judge accuracy, hudd" in shown
    assert "near no cause" in shown


def test_strategies_are_compared_on_it_first(judged, tmp_path):
    study = Study.open(shutil.copytree(judged.path, tmp_path / "copy"))
    training = {**study.settings.training, "epochs": 1}
    study.configure(modes=("hudd", "random"), runs=2, keep_runs=True, training=training).retrain()
    kept = {path.name for path in (study.path / "models").iterdir()}
    assert kept == {f"{mode}-{run}.safetensors" for mode in ("hudd", "random") for run in range(2)}
    on_judge, on_test = strategy_comparison(study), strategy_comparison(study, on="test")
    for found, place in ((on_judge, "judge"), (on_test, "test")):
        assert found.on == place
        runs = study.retraining["random"]
        accuracy = [(run["judge"] if place == "judge" else run)["accuracy_after"] for run in runs]
        assert found.accuracies("random").tolist() == accuracy
    files = write_comparison(study)
    assert json.loads(files["json"].read_text())["on"] == "judge"
    assert json.loads((study.path / "comparison" / "test.json").read_text())["on"] == "test"


def test_without_one_the_label_is_there_and_the_table_says_what_helps(finished):
    assert "these images chose the clusters" in headline(finished)["accuracy, hudd"]
    assert "judge" not in finished.summary()
    assert finished.summary()["chosen_on"] == "test"
    with pytest.raises(HuddError, match=r"has no judge set placed among the clusters; .*--judge-share 0.5"):
        finished.table("judge")
    with pytest.raises(UsageError, match="has no judge set; give one with --judge"):
        finished.source("judge")


def test_mean_errors_of_numbers_are_told_on_it(material, tmp_path):
    rng = np.random.default_rng(0)
    for split, count in {"train": 80, "test": 60, "improvement": 50, "judge": 40}.items():
        images = rng.integers(0, 255, (count, 8, 8), dtype=np.uint8)
        width = images[:, :, :4].mean((1, 2)) / 64 + rng.normal(0, 0.2, count)
        np.savez(tmp_path / f"{split}.npz", images=images, width=width, height=3 - width, tilt=width**2)
    sets = {split: str(tmp_path / f"{split}.npz") for split in ("train", "test", "improvement", "judge")}
    study = Study.create(
        tmp_path / "study",
        **material | sets | {"preset": "moments", "training": {"epochs": 1, "batch_size": 32}},
        targets=("width", "height", "tilt"),
        threshold="60%",
    ).run()
    (found,) = mean_errors(study, "judge").values()
    (run,) = study.retraining["by-cause"]
    before = study.values("judge")["off"].mean(axis=1)
    after = run["judge"]["off"].mean(axis=1)
    assert found.images == 40
    np.testing.assert_allclose([found.before, found.after], [before.mean(), after.mean()], rtol=1e-6)
    assert found.before != mean_errors(study)["by-cause"].before
    assert list(headline(study))[-2:] == ["judge mean error, by-cause", "mean error, by-cause"]
    page = write_report(study).read_text("utf-8")
    assert page.index("Mean error of the judge images") < page.index("Mean error of the test images")
