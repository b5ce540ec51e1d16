import numpy as np
import pytest

from hudd.data import Transform, open_source
from hudd.errors import UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)
LABELS = np.array([1, 0, 2, 1, -1])


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "set.npz", **arrays)
        return tmp_path / "set.npz"

    return save


def test_opens_with_parameters(save):
    file = save(
        images=IMAGES, labels=LABELS, class_names=["a", "b", "c"], depth=np.arange(5), cause=list("vwxyz")
    )
    source = open_source(file)
    assert source.paths[3] == "set.npz[3]"
    assert source.labels.tolist() == LABELS.tolist()
    assert source.class_names == ["a", "b", "c"]
    assert source.parameters["depth"].dtype == np.float64
    assert source.parameters["cause"].tolist() == list("vwxyz")
    assert source.picture(2).shape == (6, 7, 3)
    np.testing.assert_array_equal(source.load([4, 1]).numpy(), IMAGES[[4, 1], None] * np.float32(1 / 255))
    assert (
        open_source(file, transform=lambda image: Transform()(image)).load([4, 1]).equal(source.load([4, 1]))
    )


def test_labels_are_optional_and_a_single_channel_may_have_its_axis(save):
    source = open_source(save(images=IMAGES[..., None]))
    assert source.labels.tolist() == [-1] * 5
    assert source.load([0]).shape == (1, 1, 6, 7)


def test_labels_are_carried_over_by_name(save):
    file = save(images=IMAGES, labels=LABELS, class_names=["a", "b", "c"])
    assert open_source(file, class_names=["c", "d", "b", "a"]).labels.tolist() == [2, 3, 0, 2, -1]
    with pytest.raises(UsageError, match=r"image 2 of .*set\.npz' has class 'c'"):
        open_source(file, class_names=["a", "b"])


def test_numbered_archives_count_as_the_network_does(save):
    assert (
        open_source(save(images=IMAGES, labels=LABELS), class_names=["x", "y", "z"]).labels.tolist()
        == LABELS.tolist()
    )
    with pytest.raises(UsageError, match="class number 2, but class numbers run from 0 to 1"):
        open_source(save(images=IMAGES, labels=LABELS), class_names=["x", "y"])
    with pytest.raises(UsageError, match="class number 1, but class numbers run from 0 to 0"):
        open_source(save(images=IMAGES, labels=LABELS, class_names=["x"]))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": IMAGES}, "no array 'images'"),
        ({"images": IMAGES / 255}, "float64 of shape"),
        ({"images": IMAGES[:, :, :, None].repeat(4, 3)}, r"\(5, 6, 7, 4\)"),
        ({"images": IMAGES[:0]}, "holds no images"),
        ({"images": IMAGES, "labels": LABELS[:4]}, "must hold 5 whole numbers"),
        ({"images": IMAGES, "labels": LABELS / 2}, "must hold 5 whole numbers"),
        ({"images": IMAGES, "pose": np.zeros((5, 2))}, r"'pose' .* \(5, 2\)"),
        ({"images": IMAGES, "note": np.array([{}] * 5)}, "Python objects"),
    ],
)
def test_unusable_archives(save, arrays, message):
    with pytest.raises(UsageError, match=message):
        open_source(save(**arrays))


def test_not_an_archive(tmp_path):
    (tmp_path / "x.npz").write_text("text")
    with pytest.raises(UsageError, match=r"x\.npz' is no NumPy archive"):
        open_source(tmp_path / "x.npz")
    with (tmp_path / "y.npz").open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(UsageError, match=r"y\.npz' is no NumPy archive"):
        open_source(tmp_path / "y.npz")


def test_a_damaged_archive(save):
    file = save(images=IMAGES)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"set\.npz' cannot be read \(Bad CRC"):
        open_source(file)


def test_fingerprint_follows_the_pixels(save):
    first = open_source(save(images=IMAGES, labels=LABELS)).fingerprint()
    assert open_source(save(images=IMAGES, labels=LABELS)).fingerprint() == first
    changed = IMAGES.copy()
    changed[4, 5, 6] ^= 1
    assert open_source(save(images=changed, labels=LABELS)).fingerprint() != first
    assert open_source(save(images=IMAGES, labels=LABELS, depth=np.arange(5))).fingerprint() != first
