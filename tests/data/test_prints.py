"""A batch is loaded as its images are by themselves, whatever decodes them and where their pixels are put."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from hudd.data import Transform, open_source
from hudd.data.prints import load_with_prints, prints_of
from hudd.data.subset import Subset

SIZE, OTHER = (20, 14), (9, 11)


def written(folder, kinds, sizes):
    """Write images into a folder, and the same into an archive."""
    rng = np.random.default_rng(0)
    (folder / "images" / "a").mkdir(parents=True)
    with tarfile.open(folder / "images.tar", "w") as archive:
        for number, (kind, size) in enumerate(zip(kinds, sizes)):
            stream, name = io.BytesIO(), f"a/{number}.{kind}"
            Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8)).save(
                stream, {"jpg": "JPEG", "png": "PNG"}[kind]
            )
            (folder / "images" / name).write_bytes(stream.getvalue())
            member = tarfile.TarInfo(name)
            member.size = len(stream.getvalue())
            archive.addfile(member, io.BytesIO(stream.getvalue()))


KINDS = {"jpeg": ["jpg"] * 5, "mixed": ["jpg", "png", "jpg", "png", "jpg"], "png": ["png"] * 5}
SIZES = {"one size": [SIZE] * 5, "first other": [OTHER] + [SIZE] * 4, "last other": [SIZE] * 4 + [OTHER]}


@pytest.mark.parametrize("where", ["images", "images.tar"])
@pytest.mark.parametrize("decoder", ["pillow", "simplejpeg"])
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("sizes", SIZES)
def test_a_batch(tmp_path, where, decoder, kinds, sizes):
    if decoder == "simplejpeg":
        pytest.importorskip("simplejpeg")
    written(tmp_path, KINDS[kinds], SIZES[sizes])
    alike = sizes == "one size"
    source = open_source(tmp_path / where, transform=Transform(resize=None if alike else SIZE))
    source.decoder = decoder
    for one, rows in ((source, np.arange(5)), (Subset(source, np.array([4, 2, 1]), ""), np.arange(3))):
        pixels = [one.pixels(row) for row in rows]
        loaded = load_with_prints(one, rows, one.read_bytes(rows))
        for found, own in zip(loaded.decoded, pixels):
            np.testing.assert_array_equal(found, own)
        wanted = prints_of(pixels)
        np.testing.assert_array_equal(loaded.prints.pixels, wanted.pixels)
        np.testing.assert_array_equal(loaded.prints.thumbnail, wanted.thumbnail)
        images = one.prepare(rows, loaded.decoded) if loaded.images is None else loaded.images
        assert images.equal(one.load(rows))
        assert (loaded.images is None) == (alike and one is source)
