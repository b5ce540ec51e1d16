"""The HDF5 study: schema, shards, lock. Knows files and arrays, not the method."""

from hudd.parts import COMPRESSIONS
from hudd.store.encoding import check_compression
from hudd.store.files import check_space, size_text, sweep
from hudd.store.inside import append_line, check_inside, open_inside, read_inside
from hudd.store.lock import edit_lock, writer_lock
from hudd.store.repair import repair
from hudd.store.schema import (
    FORMAT,
    MINOR,
    VERSION,
    drop,
    minor_version,
    read_text,
    read_values,
    write_dataset,
)
from hudd.store.shards import SHARD_BYTES, ShardSet
from hudd.store.stored import Stored, read_whole
from hudd.store.study_file import StudyFile

__all__ = [
    "COMPRESSIONS",
    "FORMAT",
    "MINOR",
    "SHARD_BYTES",
    "VERSION",
    "ShardSet",
    "Stored",
    "StudyFile",
    "append_line",
    "check_compression",
    "check_inside",
    "check_space",
    "drop",
    "edit_lock",
    "minor_version",
    "open_inside",
    "read_inside",
    "read_text",
    "read_values",
    "read_whole",
    "repair",
    "size_text",
    "sweep",
    "write_dataset",
    "writer_lock",
]
