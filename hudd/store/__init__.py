"""The HDF5 study: schema, shards, lock. Knows files and arrays, not the method."""

from hudd.store.lock import writer_lock
from hudd.store.schema import FORMAT, VERSION, drop, read_text, read_values, write_dataset
from hudd.store.shards import SHARD_BYTES, ShardSet
from hudd.store.study_file import StudyFile

__all__ = [
    "FORMAT",
    "SHARD_BYTES",
    "VERSION",
    "ShardSet",
    "StudyFile",
    "drop",
    "read_text",
    "read_values",
    "write_dataset",
    "writer_lock",
]
