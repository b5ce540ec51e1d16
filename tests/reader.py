"""A study read by docs/format.md with h5py alone: every dataset, after the checks that the format promises."""

import json

import h5py
import xxhash


def read_study(directory):
    """Every dataset of a study by name."""
    found = {}

    def visit(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        assert item.attrs["description"], name
        assert item.attrs["units"], name
        if not item.is_scale:
            assert all(len(dim) == 1 for dim in item.dims), name
        found[name] = item[()]

    with h5py.File(directory / "study.h5") as file:
        assert (file.attrs["format"], file.attrs["version"]) == ("hudd-study", 1)
        json.loads(file.attrs["settings"])
        file.visititems(visit)
        if "steps" in file:
            file["steps"].visititems(lambda name, step: None if len(step) else step.attrs["fingerprint"])
    for split in {
        name.split("/")[1] for name in found if name.startswith("splits/") and name.endswith("/score")
    }:
        rows = len(found[f"splits/{split}/path"])
        measured = [name for name in found if name.startswith(f"splits/{split}/attributes/")]
        assert {f"splits/{split}/attributes/luminance", f"splits/{split}/attributes/margin"} <= set(measured)
        assert all(found[name].shape == (rows,) for name in measured)
    for shard in (directory / "shards").rglob("*.h5"):
        content = shard.read_bytes()
        header, image = json.loads(content[:512]), content[512:]
        assert (header["format"], header["version"], header["bytes"]) == ("hudd-shard", 2, len(image))
        assert header["xxh3_128"] == xxhash.xxh3_128_hexdigest(image)
        assert header["fingerprint"].startswith(shard.parent.name)
        with h5py.File(shard) as file:
            assert all(len(rows) == header["stop"] - header["start"] for rows in file.values())
    return found
