"""Ways to spoil a file: blind ones on its bytes, and such that know its structure. Each is (bytes, Random) -> bytes."""

from __future__ import annotations

import csv
import io
import json
import struct
import zipfile
from random import Random
from typing import Any

import h5py
import numpy as np
import pandas as pd

from hudd.store.seal import broken, sealed

_WORDS = (
    "", " ", "-1", "0", "1.5", "nan", "inf", "1e999", "9" * 400, "true", "null", "../../etc/passwd", "/etc/passwd",
    "a\0b", "\ufeff", "\u202e", "[/]", "[red]", "\x1b[2J", '"', "'", ",", "\r", "\n", "=1+1", "x" * 3000, "ä" * 300,
    "%s", "{}", "..", ".", "label", "path", "split", "cat", "dog",
)  # fmt: skip
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, "", "x", "hudd", "none", "[/]",
    "\ud800", "a\0b", "x" * 3000, [], {}, [[]], [None], {"x": None}, [1, "a"], {"a": {"b": []}}, float("nan"),
)  # fmt: skip


def bytes_flipped(data: bytes, rng: Random) -> bytes:
    """Change a few bits or bytes where they stand."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16)) if out else 0):
        at = rng.randrange(len(out))
        out[at] = out[at] ^ (1 << rng.randrange(8)) if rng.random() < 0.5 else rng.randrange(256)
    return bytes(out)


def number_replaced(data: bytes, rng: Random) -> bytes:
    """Put an extreme number over a few bytes: lengths, offsets and counts are such."""
    form = rng.choice(["<B", "<H", "<I", "<Q", ">H", ">I", ">Q"])
    number = struct.pack(form, rng.choice(_EXTREMES) & (256 ** struct.calcsize(form) - 1))
    at = rng.randrange(max(1, len(data)))
    return data[:at] + number + data[at + len(number) :]


def piece_moved(data: bytes, rng: Random) -> bytes:
    """Cut off, cut out, double, insert or move a piece."""
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    at = rng.randrange(len(data) + 1)
    how = rng.randrange(5)
    if how == 0:
        return data[:a]
    if how == 1:
        return data[:a] + data[b:]
    if how == 2:
        return data[:b] + data[a : min(b, a + 4096)] + data[b:]
    if how == 3:
        return data[:at] + rng.randbytes(rng.choice((1, 4, 100))) + data[at:]
    return (data[:a] + data[b:])[:at] + data[a:b] + (data[:a] + data[b:])[at:]


def word_inserted(data: bytes, rng: Random) -> bytes:
    """Put a word that is hard to read in place of something."""
    a = rng.randrange(len(data) + 1)
    b = min(len(data), a + rng.choice((0, 1, 5)))
    return data[:a] + rng.choice(_WORDS).encode() + data[b:]


def csv_rewritten(data: bytes, rng: Random) -> bytes:
    """Change cells, columns and rows of a table."""
    rows = list(csv.reader(io.StringIO(data.decode("utf-8", "replace").replace("\0", ""))))
    for _ in range(rng.choice((1, 1, 2, 5))):
        row = rng.choice(rows) if rows else []
        at, how = rng.randrange(len(row) + 1), rng.randrange(6)
        if how < 3 and row:
            row[at % len(row)] = rng.choice(_WORDS)
        elif how == 3:
            row.insert(at, rng.choice(_WORDS))
        elif how == 4 and row:
            del row[at % len(row)]
        else:
            rows.insert(rng.randrange(len(rows) + 1), list(rng.choice(rows or [[]])))
    out = io.StringIO()
    csv.writer(out, lineterminator=rng.choice(("\n", "\r\n")), delimiter=rng.choice(",,,;\t")).writerows(rows)
    return out.getvalue().encode("utf-8", rng.choice(("replace", "surrogatepass")))


def parquet_rewritten(data: bytes, rng: Random) -> bytes:
    """Change columns of a Parquet table: their kind, their names, their number."""
    frame = pd.read_parquet(io.BytesIO(data)).astype(object)
    name = rng.choice(list(frame.columns))
    values = rng.choice(
        ([None, 1.5, 2], [b"x", b"\xff", b""], [True, False, None], [[1], [], None], [{"a": 1}, None, {}],
         ["", "x", "[/]"], [-5, 2**62, 0], [float("nan"), float("inf"), 0.0], list(pd.to_datetime([0, 1, 2])))
    )  # fmt: skip
    how = rng.randrange(4)
    if how == 0:
        frame = frame.drop(columns=name)
    elif how == 1:
        frame = frame.rename(columns={name: rng.choice(_WORDS)})
    elif how == 2:
        frame = frame.iloc[:0]
    else:
        frame[name] = pd.Series([values[row % 3] for row in range(len(frame))], frame.index, dtype=object)
    out = io.BytesIO()
    frame.to_parquet(out)
    return out.getvalue()


def json_rewritten(data: bytes, rng: Random) -> bytes:
    """Put values where they do not belong, leave some out, nest deeply."""
    document = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = _places(document)
        if not places:
            break
        holder, key = rng.choice(places)
        how = rng.randrange(4)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, dict):
            holder[rng.choice(_WORDS)] = holder.pop(key)
        else:
            holder[key] = rng.choice(_VALUES)
    if rng.random() < 0.03:
        return b"[" * 100_000
    return json.dumps(document).encode()


def _places(node: Any) -> list[tuple[Any, Any]]:
    keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    return [place for key in keys for place in ((node, key), *_places(node[key]))]


def archive_rewritten(data: bytes, rng: Random) -> bytes:
    """Change members of an .npz: names, headers, lengths, kinds of compression."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    how = rng.randrange(5)
    if how == 0:
        members[rng.choice(("images.npy", "labels.npy", "class_names.npy", "../x.npy", "x"))] = members.pop(
            name
        )
    elif how == 1:
        members[name] = bytes_flipped(members[name][:128], rng) + members[name][128:]
    elif how == 2:
        shape = tuple(rng.choice((0, 1, 3, 6, 2**20, 2**40, 2**62)) for _ in range(rng.randrange(5)))
        header = {
            "descr": rng.choice(("|u1", "<i8", "<f4", "<U9", "|b1", "<c8", "|V3", "<M8[s]")),
            "shape": shape,
        }
        members[name] = _npy(header, members[name][128 : 128 + rng.randrange(400)])
    elif how == 3:
        members[name] = piece_moved(members[name], rng)
    else:
        members.pop(name)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return bytes_flipped(out.getvalue(), rng) if rng.random() < 0.2 else out.getvalue()


def _npy(header: dict[str, Any], content: bytes) -> bytes:
    text = repr({**header, "fortran_order": False}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + content


def safetensors_rewritten(data: bytes, rng: Random) -> bytes:
    """Change the header: names, kinds, shapes, offsets."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json_rewritten(data[8 : 8 + size], rng)
    if rng.random() < 0.5:
        header = header.replace(b"F32", rng.choice((b"F16", b"I64", b"F8_E4M3", b"C64", b"BOOL")), 1)
    size = rng.choice((len(header), len(header), size, 2**63))
    return struct.pack("<Q", size) + header + data[8 + size : 8 + size + 10**6]


def hdf5_rewritten(data: bytes, rng: Random) -> bytes:
    """Take objects of an HDF5 file out, replace them, retype them, link them elsewhere; change attributes."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+", locking=False) as file:
        names: list[str] = []
        file.visit(names.append)
        for _ in range(rng.choice((1, 1, 2))):
            name = rng.choice([n for n in names if n in file] or ["/"])
            _spoil(file, name, rng)
    return buffer.getvalue()


def study_rewritten(data: bytes, rng: Random) -> bytes:
    """Do so by a program that seals what it wrote; what is not sound would crash that program already."""
    return data if broken(data) else sealed(hdf5_rewritten(data, rng))


def _spoil(file: h5py.File, name: str, rng: Random) -> None:
    item = file[name] if name != "/" and rng.random() < 0.9 else file
    how = rng.randrange(8)
    if how < 2 and len(item.attrs):
        key = rng.choice(list(item.attrs))
        if rng.random() < 0.3:
            del item.attrs[key]
        else:
            item.attrs[key] = rng.choice((0, -1, 2**62, 1.5, "x", "", "[/]", np.arange(3), h5py.Empty("f4")))
        return
    if name not in file or item is file:
        return
    values = (
        item[...]
        if isinstance(item, h5py.Dataset) and item.shape is not None and not item.is_virtual
        else None
    )
    if values is not None and values.size and how < 5:
        values = values.copy()
        at = rng.randrange(values.size)
        if values.dtype.kind == "O":
            values.reshape(-1)[at] = rng.choice(("", "x", "[/]", "\x1b[2J", "../../x", "ä" * 99))
        else:
            extreme = rng.choice((0, 1, 7, 10**4)) * rng.choice((1, -1))
            values.reshape(-1)[at] = (
                extreme if values.dtype.kind != "f" else rng.choice((np.nan, np.inf, -1.0))
            )
        item[...] = values
        return
    del file[name]
    if how == 5:
        file[name] = h5py.SoftLink(rng.choice(("/nowhere", "/", "/error", f"/{name}")))
    elif how == 6:
        file[name] = h5py.ExternalLink(rng.choice(("/etc/passwd", "../other.h5", "study.h5")), "/")
    elif how == 7:
        shape = rng.choice(((), (0,), (3,), (1, 2), (2**20,), (2**40,), (2**31, 2**31)))
        file.create_dataset(name, shape, rng.choice(("f4", "i8", "S5", "u1", "?")), chunks=(64,) if len(shape) == 1
                            and shape[0] > 64 else True if shape and shape[0] > 64 else None)  # fmt: skip
    elif rng.random() < 0.5:
        file.create_group(name)


BLIND = (bytes_flipped, bytes_flipped, number_replaced, piece_moved)
TEXT = (*BLIND, word_inserted, word_inserted)
