import numpy as np
import pytest
from PIL import Image

from hudd.data import Transform, open_source
from hudd.errors import UsageError


def test_classes_are_the_sorted_folders_and_sidecars_are_passed_over(tree):
    source = open_source(tree)
    assert source.paths == [
        "cat/a.png",
        "cat/c.PNG",
        "cat/deep/b.png",
        "dog/0.png",
        "dog/10.png",
        "dog/2.png",
    ]
    assert source.class_names == ["cat", "dog"]
    assert source.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.labels.dtype == np.int64
    assert source.parameters == {}
    source.check()


def test_loads_what_was_written(tree, draw, tmp_path):
    pixels = draw(tree / "cat" / "a.png", seed=9)
    source = open_source(tree)
    np.testing.assert_array_equal(source.picture(0), pixels)
    loaded = source.load([0, 0, 3])
    assert loaded.shape == (3, 3, 6, 5)
    np.testing.assert_allclose(loaded[1].numpy(), pixels.transpose(2, 0, 1) / np.float32(255), rtol=1e-6)


def test_images_without_folders_are_unlabelled(tmp_path, draw):
    for name in ("b.png", "a.jpg"):
        draw(tmp_path / "field" / name)
    source = open_source(tmp_path / "field", class_names=["x", "y"])
    assert source.paths == ["a.jpg", "b.png"]
    assert source.labels.tolist() == [-1, -1]
    assert source.class_names == ["x", "y"]


def test_given_class_names_set_the_numbers(tree):
    source = open_source(tree, class_names=["dog", "bird", "cat"])
    assert source.labels.tolist() == [2, 2, 2, 0, 0, 0]
    with pytest.raises(UsageError, match=r"'dog/0\.png'.*class 'dog'.*'cat', 'bird'"):
        open_source(tree, class_names=["cat", "bird"])


def test_folders_called_by_class_number(tmp_path, draw):
    draw(tmp_path / "signs" / "00002" / "a.png")
    assert open_source(tmp_path / "signs", class_names=["stop", "yield", "go"]).labels.tolist() == [2]
    with pytest.raises(UsageError, match="'00002'"):
        open_source(tmp_path / "signs", class_names=["stop", "yield"])


def test_grey_palette_and_transparent_files_become_rgb(tmp_path, draw):
    root = tmp_path / "field"
    grey = draw(root / "grey.png", mode="L")
    colour = draw(root / "alpha.png", mode="RGBA")
    Image.fromarray(grey).convert("P").save(root / "palette.gif")
    alpha, greyed, palette = (open_source(root).picture(row) for row in range(3))
    np.testing.assert_array_equal(alpha, colour[..., :3])
    np.testing.assert_array_equal(greyed, np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(palette, greyed)


def test_one_size_is_needed(tree, draw):
    draw(tree / "cat" / "a.png", size=(4, 4))
    with pytest.raises(UsageError, match=r"'cat/c\.PNG' is 3x6x5 and 'cat/a\.png' is 3x4x4.*resize"):
        open_source(tree).load([0, 1])
    assert open_source(tree, transform=Transform(resize=(5, 5))).load([0, 1]).shape == (2, 3, 5, 5)


@pytest.mark.parametrize("name", ["movie.mp4", "weights.pth", "image"])
def test_other_files_are_refused_by_name(tree, name):
    (tree / "cat" / name).write_bytes(b"?")
    with pytest.raises(UsageError, match=rf"cat/{name}' in the image folder is not an image"):
        open_source(tree)


def test_what_cannot_be_decoded_is_named(tree, draw):
    file = tree / "cat" / "a.png"
    file.write_text("not an image")
    source = open_source(tree)
    for work in (source.check, lambda: source.load([0]), lambda: source.picture(0)):
        with pytest.raises(UsageError, match=r"cat/a\.png' cannot be decoded \(it is not an image"):
            work()
    draw(file, size=(64, 64))
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(UsageError, match=r"cat/a\.png' cannot be decoded \(.*truncated"):
        source.load([0])
    file.unlink()
    with pytest.raises(UsageError, match=r"cat/a\.png' does not exist"):
        source.load([0])


def test_sixteen_bits_are_refused(tmp_path):
    (tmp_path / "field").mkdir()
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(tmp_path / "field" / "deep.png")
    with pytest.raises(UsageError, match=r"deep\.png' has pixels of type I;16"):
        open_source(tmp_path / "field").check()


@pytest.mark.parametrize(
    "limit", [20, 10]
)  # 30 pixels: Pillow warns above the limit and fails above twice the limit
def test_decompression_bombs_are_reported_by_file(tree, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UsageError, match=r"cat/a\.png' has more pixels than.*decompression bombs"):
        open_source(tree).check()


def test_links_out_of_the_tree_are_refused(tree, tmp_path, draw):
    draw(tmp_path / "secret.png")
    (tree / "cat" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(UsageError, match=r"link\.png' is a link that leads out of the data tree"):
        open_source(tree)
    (tree / "cat" / "link.png").unlink()
    (tmp_path / "elsewhere").mkdir()
    (tree / "bird").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="bird' is a link that leads out"):
        open_source(tree)


def test_links_inside_the_tree_are_followed_but_not_in_circles(tree):
    (tree / "cat" / "link.png").symlink_to(tree / "cat" / "a.png")
    (tree / "hound").symlink_to(tree / "dog")
    source = open_source(tree)
    assert len(source) == 10
    assert source.class_names == ["cat", "dog", "hound"]
    (tree / "cat" / "deep" / "up").symlink_to(tree / "cat")
    with pytest.raises(UsageError, match="link to a folder that holds it"):
        open_source(tree)


def test_empty_and_mixed_folders(tmp_path, tree, draw):
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds no images"):
        open_source(tmp_path / "empty")
    draw(tree / "loose.png")
    with pytest.raises(UsageError, match=r"next to class folders \('loose\.png'\)"):
        open_source(tree)


def test_fingerprint_follows_every_change(tree, draw):
    first = open_source(tree).fingerprint()
    assert open_source(tree).fingerprint() == first
    assert open_source(tree, class_names=["dog", "cat"]).fingerprint() != first
    (tree / "cat" / "a.png").touch()
    assert open_source(tree).fingerprint() != first
    second = open_source(tree).fingerprint()
    (tree / "cat" / "a.png").rename(tree / "dog" / "a.png")
    assert open_source(tree).fingerprint() != second


def test_traffic_signs(gtsrb):
    source = open_source(gtsrb / "test")
    assert len(source) == 6315
    assert len(source.class_names) == 43
    assert source.class_names[:2] == ["00000", "00001"]
