"""Writers of the files that hold many images, for tests."""

import io
import json
import tarfile

import numpy as np
from PIL import Image


def jpeg(seed=0, size=(9, 7), **options):
    """The bytes of a JPEG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def tar(path, members, form=tarfile.GNU_FORMAT):
    """Write an archive of names and contents; a content may be text, or a dict for JSON."""
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in members:
            content = json.dumps(content) if isinstance(content, dict) else content
            content = content.encode() if isinstance(content, str) else content
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return path


def table(names, contents, **columns):
    """A table of images as Hugging Face has it; a column "label" with "label_names" is one of class labels."""
    import pyarrow as pa

    names_of_classes = columns.pop("label_names", None)
    images = [{"bytes": content, "path": name} for name, content in zip(names, contents)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    found = pa.table({"image": pa.array(images, kind), **columns})
    features = {"image": {"_type": "Image"}}
    if names_of_classes:
        features["label"] = {"_type": "ClassLabel", "names": names_of_classes}
    told = json.dumps({"info": {"features": features}}).encode()
    return found.replace_schema_metadata({b"huggingface": told})


def save_to_disk(folder, found, rows=3):
    """Write a table as Dataset.save_to_disk does."""
    import pyarrow as pa

    folder.mkdir(parents=True)
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), found.schema) as stream:
        for batch in found.to_batches(max_chunksize=rows):
            stream.write_batch(batch)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_indices_data_files": None}
    (folder / "state.json").write_text(json.dumps(state))
    return folder
