"""Tar archives of images: what is read, under which names, and what is refused."""

import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.data import Transform, open_source
from hudd.errors import UsageError
from tests.data.packing import jpeg, tar

NAMES = [f"{folder}/{number:03d}" for folder in ("cat", "dog") for number in range(6)]
LONG = "a" * 120 + "/" + "b" * 130


def samples(names=NAMES, label=lambda name: name.split("/")[0]):
    return [
        pair
        for seed, name in enumerate(names)
        for pair in ((f"{name}.jpg", jpeg(seed)), (f"{name}.cls", label(name)))
    ]


@pytest.fixture
def folder(tmp_path):
    """The images as a folder, to compare with."""
    for seed, name in enumerate(NAMES):
        file = tmp_path / "tree" / f"{name}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(seed))
    return open_source(tmp_path / "tree")


def assert_same(one, other):
    assert list(one.paths) == list(other.paths)
    assert one.class_names == other.class_names
    np.testing.assert_array_equal(one.labels, other.labels)
    rows = np.random.default_rng(0).permutation(len(one))
    np.testing.assert_array_equal(one.load(rows).numpy(), other.load(rows).numpy())


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_is_its_folder(tmp_path, folder, form):
    packed = open_source(tar(tmp_path / "all.tar", samples()[::2], form))
    packed.check()
    assert_same(packed, folder)
    assert_same(open_source(tar(tmp_path / "labelled.tar", samples(), form)), folder)
    assert packed.remarks == []


@pytest.mark.parametrize("spec", ["part-{0..2}.tar", "part-*.tar", "{part-0,part-1,part-2}.tar", ""])
def test_identifiers_and_fingerprint_survive_another_division(tmp_path, folder, spec):
    (tmp_path / "parts").mkdir()
    for number, (start, stop) in enumerate(((0, 2), (2, 18), (18, 24))):
        tar(tmp_path / "parts" / f"part-{number}.tar", samples()[start:stop])
    divided = open_source(f"{tmp_path}/parts/{spec}".rstrip("/"))
    assert_same(divided, folder)
    assert divided.fingerprint() == open_source(tar(tmp_path / "one.tar", samples())).fingerprint()
    other = samples()
    other[4] = (other[4][0], jpeg(99))
    assert divided.fingerprint() != open_source(tar(tmp_path / "two.tar", other)).fingerprint()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names(tmp_path, form):
    names = [f"./{LONG}/ä.jpg", f"{LONG}/z.jpg", "x/y.jpg"]
    source = open_source(tar(tmp_path / "a.tar", [(name, jpeg(at)) for at, name in enumerate(names)], form))
    assert list(source.paths) == [names[0][2:], *names[1:]]


LABELS = {
    "names": ([("1.jpg", jpeg(1)), ("1.cls", "bee"), ("2.jpg", jpeg(2)), ("2.cls", "ant\n")], [1, 0]),
    "numbers": ([("1.jpg", jpeg(1)), ("1.cls", "1"), ("2.jpg", jpeg(2)), ("2.cls", "0")], [1, 0]),
    "text": ([("1.jpg", jpeg(1)), ("1.txt", "bee"), ("2.jpg", jpeg(2)), ("2.txt", "ant")], [1, 0]),
    "JSON": ([("1.jpg", jpeg(1)), ("1.json", {"label": 1}), ("2.jpg", jpeg(2)), ("2.json", {"cls": 0})], [1, 0]),
    "cls before JSON": ([("1.jpg", jpeg(1)), ("1.json", {"label": 0}), ("1.cls", "bee")], [1]),
    "one unknown": ([("1.jpg", jpeg(1)), ("2.jpg", jpeg(2)), ("2.cls", "bee")], [-1, 1]),
    "labels first": ([("1.cls", "bee"), ("2.cls", "ant"), ("1.jpg", jpeg(1)), ("2.jpg", jpeg(2))], [1, 0]),
    "no label": ([("1.jpg", jpeg(1)), ("2.jpg", jpeg(2))], [-1, -1]),
    "in the folder of a set": ([("test/1.jpg", jpeg(1)), ("test/2.jpg", jpeg(2))], [-1, -1]),
    "dots in names": ([("cat/a.1.0.jpg", jpeg(1)), ("cat/a.1.1.jpg", jpeg(2)), ("bee/a.1.jpg", jpeg(3))], [0, 0, 1]),
}  # fmt: skip


@pytest.mark.parametrize("what", LABELS)
def test_labels(tmp_path, what):
    members, labels = LABELS[what]
    names = ["cat", "bee"] if what == "dots in names" else ["ant", "bee"]
    source = open_source(tar(tmp_path / "a.tar", members), class_names=names)
    assert source.labels.tolist() == labels
    assert bool(source.without_labels) == (max(labels) < 0)


def test_parameters_are_numbers_or_text(tmp_path):
    told = [
        {"label": "a", "speed": 3, "fog": True, "city": "Bonn"},
        {"speed": 4.5, "city": None, "box": [1, 2]},
    ]
    members = [("0.png", jpeg(0)), ("0.json", told[0]), ("1.png", jpeg(1)), ("1.json", told[1])]
    source = open_source(tar(tmp_path / "a.tar", [*members, ("2.jpg", jpeg(2)), ("2.mask.png", jpeg(3))]))
    assert source.parameters["speed"].tolist()[:2] == [3, 4.5]
    assert np.isnan(source.parameters["speed"][2])
    assert source.parameters["city"].tolist() == ["Bonn", "", ""]
    assert source.parameters["fog"][0] == 1
    assert source.labels.tolist() == [0, -1, -1]
    assert source.remarks == [
        f"passed over in '{tmp_path}/a.tar': list or dict 'box' of a .json (1), .mask.png file (1)."
    ]


def cut(path, length):
    path.write_bytes(path.read_bytes()[:length])
    return path


def test_damaged_images_are_named_and_left_out_when_asked(tmp_path):
    members = samples()
    members[4] = (members[4][0], members[4][1][:200])
    members[10] = (members[10][0], b"no image")
    path = tar(tmp_path / "a.tar", members)
    source = open_source(path)
    with pytest.raises(
        UsageError, match=r"'cat/002.jpg' in '.*a.tar' cannot be decoded .*1 more of 12: 'cat/005"
    ):
        source.check()
    bad = dict(source.faults())
    assert sorted(bad) == [2, 5]
    left = source.without(bad)
    left.check()
    assert len(left) == 10
    assert [name for name, _ in left.skipped] == ["cat/002.jpg", "cat/005.jpg"]
    kept = [row for row in range(12) if row not in bad]
    np.testing.assert_array_equal(left.load(range(10)).numpy(), source.load(kept).numpy())
    assert left.without({0: "why"}).paths[0] == "cat/001.jpg"
    with pytest.raises(UsageError, match=r"'cat/002.jpg' in '.*a.tar' cannot be decoded"):
        source.load([2])


def test_an_archive_that_is_cut_off(tmp_path):
    path = tar(tmp_path / "a.tar", samples()[::2])
    whole = open_source(path)
    last = int(whole._index.place[-1])
    with pytest.raises(
        UsageError, match=r"'dog/005.jpg' in '.*a.tar' cannot be decoded \(the archive is cut off"
    ):
        open_source(cut(path, last + 10)).check()
    assert [row for row, _ in open_source(path).faults()] == [11]
    shorter = open_source(cut(path, last - 512))
    shorter.check()
    assert len(shorter) == 11
    assert "without a mark of their end, which may be cut off" in shorter.remarks[0]
    with pytest.raises(UsageError, match=r"is damaged after 'dog/003.jpg'"):
        open_source(cut(path, int(whole._index.place[-2]) - 100))


def test_a_member_that_says_it_is_larger_than_the_archive(tmp_path):
    path = tar(tmp_path / "a.tar", [("1.jpg", jpeg(1)), ("2.jpg", jpeg(2))])
    about = tarfile.TarInfo("3.jpg")
    about.size = 1 << 70
    header = about.tobuf(tarfile.GNU_FORMAT)
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content + bytes(-len(content) % 512) + header + jpeg(3))
    assert [row for row, _ in open_source(path).faults()] == [2]
    about.size, about.pax_headers = 5, {"size": "9" * 15}
    path.write_bytes(content + bytes(-len(content) % 512) + about.tobuf(tarfile.PAX_FORMAT) + jpeg(3))
    assert [row for row, _ in open_source(path).faults()] == [2]


def test_what_is_no_archive(tmp_path):
    with pytest.raises(UsageError, match="is no tar archive"):
        open_source(cut(tar(tmp_path / "a.tar", samples()), 300))
    (tmp_path / "b.tar").write_bytes(b"\x1f\x8b" + bytes(600))
    with pytest.raises(UsageError, match="is compressed"):
        open_source(tmp_path / "b.tar")
    with pytest.raises(UsageError, match="holds no images"):
        open_source(tar(tmp_path / "c.tar", [("readme.md", "x")]))
    with pytest.raises(UsageError, match="there is no file"):
        open_source(tmp_path / "none.tar")
    with pytest.raises(UsageError, match="there is no file like"):
        open_source(tmp_path / "none-*.tar")
    with pytest.raises(UsageError, match="counts from 3 to 1"):
        open_source(tmp_path / "a-{3..1}.tar")


REFUSED = {
    "an image twice": ([("1.jpg", jpeg(1)), ("./1.jpg", jpeg(2))], "'1.jpg' and '1.jpg' in .* two images of one"),
    "a name twice": ([("1.jpg", jpeg(1)), ("2.jpg", jpeg(2)), ("1.jpg", jpeg(1))], "'1.jpg' is twice in '.*a.tar'"),
    "two images of a sample": ([("1.jpg", jpeg(1)), ("1.png", jpeg(2))], "'1.jpg' and '1.png' in .* two images"),
    "JSON that is none": ([("1.jpg", jpeg(1)), ("1.json", "{")], "'1.json' in .* cannot be read"),
    "JSON nested deep": ([("1.jpg", jpeg(1)), ("1.json", "[" * 100_000)], "'1.json' in .* cannot be read"),
    "too many parameters": (
        [("1.jpg", jpeg(1)), ("1.json", {f"p{at}": at for at in range(1002)})], "more than 1,000 parameters"
    ),
    "JSON that is a list": ([("1.jpg", jpeg(1)), ("1.json", "[1]")], "'1.json' in .* is a list"),
    "a class that is none": ([("1.jpg", jpeg(1)), ("1.cls", "owl")], "image '1.jpg' of .* has class 'owl'"),
    "a fraction": ([("1.jpg", jpeg(1)), ("1.json", {"label": 1.5})], "has label 1.5"),
    "a label that is not UTF-8": ([("1.jpg", jpeg(1)), ("1.cls", b"\xff\xfe\xfd")], "'1.cls' in .* cannot be read"),
    "whole sets": ([("test/cat/1.jpg", jpeg(1)), ("train/cat/1.jpg", jpeg(2))], "folders of whole sets"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused(tmp_path, what):
    members, message = REFUSED[what]
    with pytest.raises(UsageError, match=message):
        open_source(tar(tmp_path / "a.tar", members), class_names=["ant", "bee"])


def test_the_same_name_in_two_archives(tmp_path):
    for name in "ab":
        tar(tmp_path / f"{name}.tar", samples()[:4])
    with pytest.raises(UsageError, match=r"'cat/000.jpg' is in '.*a.tar' and again in '.*b.tar'"):
        open_source(tmp_path / "*.tar")


def test_sizes_and_orientation(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    members = [("1.jpg", jpeg(1, (8, 4))), ("2.jpg", jpeg(1, (4, 8), exif=exif.tobytes()))]
    path = tar(tmp_path / "a.tar", members)
    with pytest.raises(UsageError, match=r"'1.jpg' in .* is 8x4 and '2.jpg' in .* is 4x8"):
        open_source(path).check()
    turned = open_source(path, exif_orient=True)
    turned.check()
    assert turned.load([0, 1]).shape == (2, 3, 8, 4)
    assert turned.fingerprint() != open_source(path).fingerprint()
    resized = open_source(path, transform=Transform(resize=(5, 5)))
    resized.check()
    assert "1 images say by EXIF" in resized.remarks[-1]


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(0, 60_000))
def test_a_damaged_archive_is_refused_or_its_images_are(tmp_path_factory, noise, at):
    folder = tmp_path_factory.mktemp("noise")
    path = tar(folder / "a.tar", samples())
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at : at + len(noise)] = noise
    path.write_bytes(bytes(content))
    try:
        source = open_source(path, class_names=["cat", "dog"])
        left = source.without(dict(source.faults()))
        for row in range(len(left)):
            left.pixels(row)
    except UsageError as error:
        refused = str(error)
    else:
        refused = "a.tar"
    assert "a.tar" in refused


def test_an_index_is_kept_until_the_file_changes(tmp_path, monkeypatch):
    from hudd.data import index, webdataset

    monkeypatch.setattr(index, "_SMALL", 0)
    monkeypatch.setattr(index.caches, "prepare", lambda: tmp_path / "cache")
    seen, scanned = [], webdataset._scanned
    monkeypatch.setattr(webdataset, "_scanned", lambda place: seen.append(place.name) or scanned(place))
    paths = [tar(tmp_path / f"{name}.tar", samples([f"{name}/1", f"{name}/2"])) for name in "ab"]
    first = open_source(tmp_path / "*.tar")
    again = open_source(tmp_path / "*.tar")
    assert_same(first, again)
    assert first.fingerprint() == again.fingerprint()
    assert seen == [str(path) for path in paths]
    tar(paths[1], samples(["b/1", "b/3"]))
    assert list(open_source(tmp_path / "*.tar").paths)[-1] == "b/3.jpg"
    assert len(seen) == 3
    for file in (tmp_path / "cache" / "hudd" / "images").iterdir():
        file.write_bytes(b"damaged")
    assert len(open_source(tmp_path / "*.tar")) == 4
