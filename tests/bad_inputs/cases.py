"""Inputs that cannot be used: what they are, the files that make them so, the command that meets them.

``docs/bad-inputs.md`` is made from these by ``python tests/bad_inputs/table.py``.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image

from hudd.store.seal import sealed

Prepare = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes
    ----------
    about : str
        The section of the table that it stands in.
    what : str
        What is wrong, as a person would say it.
    arguments : tuple of str
        Of the command line. ``study`` is a finished study; ``model.py:cnn`` fits ``test.npz``, ``train.npz`` and
        ``improvement.npz``.
    prepare : callable
        Writes the bad files into the current directory.
    code : int
        The exit code: 2, the call was wrong; 1, the work failed.
    foreign : str
        A regular expression of what the message quotes of another library, whose words are not ours to promise.
    """

    about: str
    what: str
    arguments: tuple[str, ...]
    prepare: Prepare = lambda: None
    code: int = 2
    foreign: str = "(?!)"


CASES: list[Case] = []


def _add(
    about: str, what: str, call: str, prepare: Prepare = lambda: None, code: int = 2, foreign: str = "(?!)"
) -> None:
    CASES.append(Case(about, what, tuple(call.split()), prepare, code, foreign))


def _new(
    about: str, what: str, call: str, prepare: Prepare = lambda: None, code: int = 2, foreign: str = "(?!)"
) -> None:
    """A new study of the sound model, weights and test set, but for what `call` replaces."""
    options = {"--model": "model.py:cnn", "--weights": "cnn.safetensors", "--test": "test.npz"}
    given = call.split()
    if "--model" in given:
        del options["--weights"]
    sound = [word for name, value in options.items() if name not in given for word in (name, value)]
    CASES.append(Case(about, what, ("run", "new", *sound, *given), prepare, code, foreign))


def write(name: str, content: str | bytes) -> Path:
    """Write a file with its folders."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def picture(name: str, size: tuple[int, int] = (8, 8), mode: str = "L") -> None:
    """Write an image file."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(name)


def archive(name: str = "bad.npz", count: int = 4, **arrays: object) -> None:
    """Write an archive of black images, with some arrays in place of its own."""
    own = {"images": np.zeros((count, 8, 8), np.uint8), "labels": np.arange(count) % 3}
    np.savez(name, **{key: value for key, value in {**own, **arrays}.items() if value is not None})


def manifest(text: str, *images: str) -> None:
    """Write bad.csv and the images that it names."""
    write("bad.csv", text)
    for name in images:
        picture(name)


def changed(change: Callable[[h5py.File], object]) -> Prepare:
    """Change the finished study's file."""

    def prepare() -> None:
        path = Path("study/study.h5")
        with h5py.File(path, "r+") as file:
            change(file)
        path.write_bytes(sealed(path.read_bytes()))

    return prepare


# -- calls

_CALL = "Commands and options"
_add(_CALL, "A command that does not exist", "frobnicate")
_add(_CALL, "An option that does not exist", "run new --modle a:b")
_add(_CALL, "No study named", "show")
_add(_CALL, "A new study without a model", "run new")
_add(_CALL, "A new study without a test set", "run new --model model.py:cnn")
_add(_CALL, "The study is a file", "run model.py --model model.py:cnn --test test.npz")
_add(_CALL, "A case that is not bundled", "demo --case faces")
_add(_CALL, "A case of a negative seed", "demo --seed -1")
_new(_CALL, "Text where a whole number belongs", "--seed x")
_new(_CALL, "A negative seed", "--seed -1")
_new(_CALL, "A size that is no size", "--resize big")
_new(_CALL, "A size of nothing", "--resize 0x5")
_new(_CALL, "A mean that is no number", "--mean 0.5,x,1")
_new(_CALL, "A mean of two numbers", "--mean 0.5,0.5")
_new(_CALL, "Three means for one channel", "--gray --mean 0.4,0.5,0.6")
_new(_CALL, "A standard deviation of zero", "--std 0")
_new(_CALL, "A scale that is not a number", "--scale nan")
_new(_CALL, "An unknown preset", "--preset best")
_new(_CALL, "An unknown pooling", "--pool max")
_new(_CALL, "An unknown composite", "--rules gradient")
_new(_CALL, "Rules by layer that cannot be read", "--rules *=")
_new(_CALL, "A rule by layer that is unknown", "--rules *=gradient")
_new(_CALL, "Layers that the model does not have", "--layers nothing")
_new(_CALL, "A batch of no image", "--batch-size 0")
_new(_CALL, "No decoding thread", "--workers 0")
_new(_CALL, "A factor of zero", "--factor 0")
_new(_CALL, "A factor and a budget", "--factor 1 --budget 2")
_new(_CALL, "A budget of no image", "--budget 0")
_new(_CALL, "A budget with bags that go by factor", "--preset hudd-2021 --budget 2")
_new(_CALL, "A single cluster at most", "--max-clusters 1")
_new(_CALL, "A size of clusters that density finds", "--clusterer dbscan --cluster-size 9")
_new(_CALL, "No epoch", "--epochs 0")
_new(_CALL, "A learning rate that is not a number", "--lr nan")
_add(_CALL, "A negative learning rate for a finished study", "retrain study --lr -1")
_add(_CALL, "Parameters to freeze that the model does not have", "retrain study --freeze conv9.*")
_new(_CALL, "An unknown optimizer", "--optimizer lion")
_new(_CALL, "An unknown strategy to compare", "--compare best")
_new(_CALL, "An unknown strategy to select by", "--strategy best")
_new(_CALL, "An unknown compression", "--compression rar")
_new(_CALL, "An unknown device", "--device tpu")
_new(_CALL, "An unknown number type", "--dtype float8")
_new(_CALL, "An unknown choice of what to keep", "--store some")
_new(_CALL, "Unknown features", "--features gradients")
_new(_CALL, "An unknown reduction", "--reduction tsne")
_new(_CALL, "An unknown clusterer", "--clusterer best")
_new(_CALL, "An angle without its period", "--angles gaze")
_new(_CALL, "A period that is no number", "--angles gaze=round")
_new(_CALL, "A period of zero", "--angles gaze=0")
_new(_CALL, "An angle that is not in the test set", "--angles gaze=360")
_add(_CALL, "A unit of what is not in the test set", "evaluate study --units gaze=deg")
_add(_CALL, "An unknown step to take anew", "run study --force paint")
_add(_CALL, "A layer that is not in the study", "cluster study --layer nowhere")
_add(_CALL, "An unknown format to export to", "export study --format pdf")

# -- models

_MODEL = "Models and weights"


def _module(text: str) -> Prepare:
    return lambda: write("bad.py", text)


_NET = "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))\n"
_new(_MODEL, "A spec without a factory", "--model cnn")
_new(_MODEL, "A module that is not installed", "--model nowhere.nets:cnn")
_new(_MODEL, "A file that does not exist", "--model nowhere.py:cnn")
_new(
    _MODEL,
    "A file that is not Python",
    "--model bad.py:net",
    _module("def net(:"),
    foreign=r"(?<=SyntaxError: ).*(?= Mend)",
)
_new(_MODEL, "A file that fails on import", "--model bad.py:net", _module("raise OSError('no licence')"))
_new(_MODEL, "A file without that function", "--model model.py:resnet")
_new(_MODEL, "A factory that needs an argument", "--model bad.py:net", _module("def net(depth): pass"))
_new(
    _MODEL,
    "A factory that fails, with a password in its message",
    "--model bad.py:net",
    _module("def net(): raise OSError('https://ann:s3cret@host/w.pth gives 403')"),
)
_new(_MODEL, "A factory that makes no module", "--model bad.py:net", _module("def net(): return 7"))
_new(_MODEL, "A program that does not exist", "--model nowhere.pt2")
_new(
    _MODEL,
    "A damaged program",
    "--model bad.pt2",
    lambda: write("bad.pt2", b"not a program"),
    foreign=r"(?<=program \().*(?=\); save)",
)
_new(
    _MODEL,
    "A program and weights",
    "--model bad.pt2 --weights cnn.safetensors",
    lambda: write("bad.pt2", b"not a program"),
)
_new(
    _MODEL,
    "A model that is no classifier",
    "--model bad.py:net",
    _module("from torch import nn\ndef net(): return nn.Conv2d(1, 9, 3)"),
)
_new(
    _MODEL,
    "A model for images of another size",
    "--model bad.py:net",
    _module(_NET),
    foreign=r"(?<=1x8x8 \().*(?=\); give)",
)
_new(
    _MODEL,
    "An operation without a relevance rule",
    "--model bad.py:Net",
    _module(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.last = nn.Linear(64, 3)\n    def forward(self, x):\n"
        "        return self.last(x.flatten(1).cumsum(1))\n"
    ),
)
_new(
    _MODEL,
    "A forward that branches on its input",
    "--model bad.py:Net",
    _module(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.last = nn.Linear(64, 3)\n    def forward(self, x):\n"
        "        return self.last(x.flatten(1) if x.sum() > 0 else -x.flatten(1))\n"
    ),
    foreign=r"(?<=1, 8, 8\): ).*(?=\. Give it the input)",
)
_new(_MODEL, "Weights that do not exist", "--weights nowhere.pth")
_new(
    _MODEL,
    "Damaged safetensors",
    "--weights bad.safetensors",
    lambda: write("bad.safetensors", b"\xff" * 40),
    foreign=r"(?<=safetensors \().*(?=\); write)",
)
_new(
    _MODEL,
    "Damaged weights",
    "--weights bad.pth",
    lambda: write("bad.pth", b"PK\3\4" + b"\0" * 60),
    foreign=r"(?<=read \().*(?=\); save)",
)


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("was-run",)


_new(
    _MODEL,
    "Weights that run code when they are unpickled",
    "--weights bad.pth",
    lambda: torch.save({"state_dict": {}, "by": _Runs()}, "bad.pth"),
)
_new(_MODEL, "Weights that are no state dict", "--weights bad.pth", lambda: torch.save([1, 2], "bad.pth"))
_new(
    _MODEL,
    "Weights of another network",
    "--weights bad.pth",
    lambda: torch.save(torch.nn.Linear(3, 2).state_dict(), "bad.pth"),
)
_new(
    _MODEL,
    "Weights of another width",
    "--weights bad.pth",
    lambda: torch.save(
        torch.nn.Sequential(
            torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.ReLU(), torch.nn.ReLU(), torch.nn.Linear(9, 3)
        ).state_dict(),
        "bad.pth",
    ),
)
_new(
    _MODEL,
    "Weights that are not numbers",
    "--model bad.py:net",
    _module(
        "import torch\nfrom hudd.data import Transform\nfrom torch import nn\n\n\ndef net():\n"
        "    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
        "    nn.init.constant_(made[1].weight, float('nan'))\n    return made\n\n\n"
        "net.transform = Transform(grayscale=True)\n"
    ),
    code=1,
)

# -- images

_IMAGES = "Images and folders"


def _bomb(name: str) -> None:
    """A PNG that says it is 60,000 pixels a side."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    checksum = zipfile.crc32(bytes(content[12:29]))
    content[29:33] = struct.pack(">I", checksum)
    Path(name).write_bytes(bytes(content))


def _folder(*extra: Prepare) -> Prepare:
    """A tree of two classes, then what spoils it."""

    def prepare() -> None:
        for name in ("bad/ant/1.png", "bad/bee/2.png"):
            picture(name)
        for spoil in extra:
            spoil()

    return prepare


_new(_IMAGES, "Data that do not exist", "--test nowhere")
_new(_IMAGES, "A file of an unknown kind", "--test bad.tar", lambda: write("bad.tar", b""))
_new(_IMAGES, "A folder without images", "--test bad", lambda: Path("bad").mkdir())
_new(_IMAGES, "Images beside class folders", "--test bad", _folder(lambda: picture("bad/3.png")))
_new(_IMAGES, "A file that is no image", "--test bad", _folder(lambda: write("bad/ant/run.exe", b"MZ")))
_new(
    _IMAGES,
    "A link out of the data",
    "--test bad",
    _folder(lambda: Path("bad/ant/out.png").symlink_to("/etc/passwd")),
)
_new(
    _IMAGES,
    "A link to the folder that holds it",
    "--test bad",
    _folder(lambda: Path("bad/ant/up").symlink_to("..")),
)
_new(
    _IMAGES, "A link to nothing", "--test bad", _folder(lambda: Path("bad/ant/3.png").symlink_to("gone.png"))
)
_new(
    _IMAGES,
    "An image file that holds something else",
    "--test bad",
    _folder(lambda: write("bad/ant/3.png", b"x" * 99)),
)
_new(
    _IMAGES,
    "Three image files that hold something else",
    "--test bad",
    _folder(*(lambda name=name: write(f"bad/ant/{name}.png", b"x") for name in "345")),
)
_new(_IMAGES, "An empty image file", "--test bad", _folder(lambda: write("bad/ant/0.png", b"")))
_new(
    _IMAGES,
    "A PostScript program called .png",
    "--test bad",
    _folder(
        lambda: write(
            "bad/ant/3.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(%pipe%id) (w) file\n"
        )
    ),
)
_new(_IMAGES, "A decompression bomb", "--test bad", _folder(lambda: _bomb("bad/ant/3.png")))
_new(_IMAGES, "An image of 16 bits", "--test bad", _folder(lambda: picture("bad/ant/3.png", mode="I;16")))
_new(
    _IMAGES,
    "Images of two sizes",
    "--test bad",
    _folder(lambda: picture("bad/ant/3.png", (9, 8))),
)
_new(
    _IMAGES,
    "A file name that steers the terminal",
    "--test bad",
    _folder(lambda: write("bad/ant/\x1b[2J.png", b"x")),
)
_new(_IMAGES, "Test images without labels", "--test bad", lambda: picture("bad/1.png"))
_new(
    _IMAGES,
    "A training set of other classes",
    "--train bad",
    _folder(lambda: picture("bad/wasp/3.png")),
)

# -- manifests

_MANIFEST = "Manifests"
_new(_MANIFEST, "An empty manifest", "--test bad.csv", lambda: manifest(""))
_new(_MANIFEST, "No column of paths", "--test bad.csv", lambda: manifest("file,label\n1.png,ant\n"))
_new(_MANIFEST, "No rows", "--test bad.csv", lambda: manifest("path,label\n"))
_new(_MANIFEST, "A row without a path", "--test bad.csv", lambda: manifest("path,label\n1.png,ant\n,bee\n"))
_new(_MANIFEST, "An image named twice", "--test bad.csv", lambda: manifest("path,label\n1.png,0\n1.png,1\n"))
_new(_MANIFEST, "An image that is not there", "--test bad.csv", lambda: manifest("path,label\n1.png,0\n"))
_new(
    _MANIFEST,
    "A path with a zero byte",
    "--test bad.parquet",
    lambda: _parquet({"path": ["a\0b.png"], "label": [0]}),
)
_new(_MANIFEST, "Half a label", "--test bad.csv", lambda: manifest("path,label\n1.png,0\n2.png,1.5\n"))
_new(_MANIFEST, "An infinite label", "--test bad.csv", lambda: manifest("path,label\n1.png,0\n2.png,inf\n"))
_new(
    _MANIFEST,
    "A class number out of all measure",
    "--test bad.csv",
    lambda: manifest("path,label\n1.png,1e15\n"),
)
_new(
    _MANIFEST,
    "A class number beyond the model's outputs",
    "--test bad.csv",
    lambda: manifest("path,label\n1.png,0\n2.png,7\n", "1.png", "2.png"),
)
_new(
    _MANIFEST,
    "Several splits and none chosen",
    "--test bad.csv",
    lambda: manifest("path,label,split\n1.png,0,test\n2.png,1,train\n"),
)
_new(
    _MANIFEST,
    "A split that is not there",
    "--test bad.csv::val",
    lambda: manifest("path,label,split\n1.png,0,test\n2.png,1,train\n"),
)
_new(
    _MANIFEST,
    "A split of a manifest without splits",
    "--test bad.csv::val",
    lambda: manifest("path,label\n1.png,0\n"),
)
_new(
    _MANIFEST,
    "Text that is not UTF-8",
    "--test bad.csv",
    lambda: write("bad.csv", b"path,label\n\xff.png,0\n"),
    foreign=r"(?<=read \().*(?=\); write)",
)
_new(
    _MANIFEST,
    "A row with too many cells",
    "--test bad.csv",
    lambda: manifest("path,label\n1.png,0\n2.png,1,x,y\n"),
    foreign=r"(?<=read \().*(?=\); write)",
)
_new(
    _MANIFEST,
    "More columns than images have parameters",
    "--test bad.csv",
    lambda: manifest("path" + ",x" * 2000 + "\n"),
)
_new(_MANIFEST, "A manifest larger than memory", "--test bad.csv", lambda: _sparse("bad.csv", 3 << 30))
_new(
    _MANIFEST,
    "Two parameters that are one name to a study",
    "--test bad.csv",
    lambda: manifest("path,label,a/b,a_b\n1.png,0,1,2\n"),
)
_new(
    _MANIFEST,
    "A damaged Parquet file",
    "--test bad.parquet",
    lambda: write("bad.parquet", b"PAR1" + b"\xff" * 50 + b"PAR1"),
    foreign=r"(?<=read \().*(?=\); write)",
)
_new(_MANIFEST, "A manifest that is a folder", "--test bad.csv::x", lambda: Path("bad.csv").mkdir())


def _parquet(columns: dict[str, list[object]]) -> None:
    import pandas as pd

    pd.DataFrame(columns).to_parquet("bad.parquet")


def _sparse(name: str, size: int) -> None:
    """A file that says it is large and takes no space."""
    with Path(name).open("wb") as file:
        file.truncate(size)


# -- archives

_ARCHIVE = "Archives and factories of data"


def _declaring(shape: tuple[int, ...]) -> None:
    """An archive with an image array of kilobytes that declares any shape."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    with zipfile.ZipFile("bad.npz", "w") as file:
        file.writestr(
            "images.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + b"\0" * 64
        )


def _zip_bomb() -> None:
    """An archive whose directory says that its one member unpacks to 4 GiB less a byte, sixteen times."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(16):
            file.writestr(f"images{number}.npy", b"\0" * 100)
    data = bytearray(content.getvalue())
    at = data.find(b"PK\1\2")
    while at >= 0:
        data[at + 24 : at + 28] = b"\xfe\xff\xff\xff"
        at = data.find(b"PK\1\2", at + 4)
    Path("bad.npz").write_bytes(bytes(data))


_new(_ARCHIVE, "An archive that is none", "--test bad.npz", lambda: write("bad.npz", b"x" * 99))
_new(_ARCHIVE, "An archive without images", "--test bad.npz", lambda: archive(images=None))
_new(_ARCHIVE, "An archive of no images", "--test bad.npz", lambda: archive(count=0))
_new(_ARCHIVE, "Images of floats", "--test bad.npz", lambda: archive(images=np.zeros((4, 8, 8))))
_new(_ARCHIVE, "Labels for other images", "--test bad.npz", lambda: archive(labels=np.zeros(9, int)))
_new(_ARCHIVE, "A parameter of another length", "--test bad.npz", lambda: archive(width=np.zeros(2)))
_new(
    _ARCHIVE,
    "Fewer class names than classes",
    "--test bad.npz",
    lambda: archive(class_names=np.array(["ant"])),
)
_new(_ARCHIVE, "Python objects", "--test bad.npz", lambda: archive(extra=np.array([{}] * 4, dtype=object)))
_new(_ARCHIVE, "A shape that is not there", "--test bad.npz", lambda: _declaring((2**40, 8, 8)))
_new(_ARCHIVE, "A zip bomb", "--test bad.npz", _zip_bomb)
_new(_ARCHIVE, "A factory that makes no data", "--test bad.py:data", _module("def data(): return 7"))
_new(_ARCHIVE, "A factory that makes tensors", "--test bad.py:data", _module(
    "import torch\nclass data(list):\n    targets = [0]\n    "
    "def __init__(self): super().__init__([(torch.ones(1, 8, 8), 0)])"
))  # fmt: skip
_new(_ARCHIVE, "A factory that makes no image", "--test bad.py:data", _module("def data(): return []"))

# -- labels

_LABELS = "Labels"


def _labels(text: str, name: str = "bad.csv") -> Prepare:
    return lambda: write(name, text)


_IMPORT = "label study --import"
_add(_LABELS, "Labels that do not exist", f"{_IMPORT} nowhere.csv")
_add(_LABELS, "No columns of paths and labels", f"{_IMPORT} bad.csv", _labels("image,class\n"))
_add(
    _LABELS,
    "An image that is not in the set",
    f"{_IMPORT} bad.csv",
    _labels("path,label\n../../etc/passwd,ant\n"),
)
_add(
    _LABELS,
    "A class that does not exist",
    f"{_IMPORT} bad.csv",
    _labels("path,label\nimprovement.npz[0],bees\n"),
)
_add(
    _LABELS,
    "An image with two labels",
    f"{_IMPORT} bad.csv --overwrite",
    _labels("path,label\nimprovement.npz[0],ant\nimprovement.npz[0],bee\n"),
)
_add(
    _LABELS,
    "A label other than the known one",
    f"{_IMPORT} bad.csv",
    _labels("path,label\nimprovement.npz[0],ant\nimprovement.npz[1],ant\nimprovement.npz[2],ant\n"),
)
_add(
    _LABELS,
    "Labels that are not UTF-8",
    f"{_IMPORT} bad.csv",
    lambda: write("bad.csv", b"path,label\n\xff,ant\n"),
    foreign=r"(?<=read \().*(?=\); give)",
)
_add(
    _LABELS,
    "Tasks that are not JSON",
    f"{_IMPORT} bad.json",
    _labels("{", "bad.json"),
    foreign=r"(?<=JSON \().*(?=\);)",
)
_add(
    _LABELS,
    "Tasks nested a hundred thousand deep",
    f"{_IMPORT} bad.json",
    _labels("[" * 100_000, "bad.json"),
    foreign=r"(?<=JSON \().*(?=\);)",
)
_add(_LABELS, "A file that is no list of tasks", f"{_IMPORT} bad.json", _labels("{}", "bad.json"))
_add(_LABELS, "A task without an image", f"{_IMPORT} bad.json", _labels('[{"data": {}}]', "bad.json"))
_add(
    _LABELS,
    "A task of another shape",
    f"{_IMPORT} bad.json",
    _labels('[{"data": {"path": "improvement.npz[0]"}, "annotations": [7]}]', "bad.json"),
    foreign=r"(?<=Studio's \().*(?=\); export)",
)
_add(_LABELS, "A folder that hudd did not write", f"{_IMPORT} bad", lambda: Path("bad").mkdir())
_add(_LABELS, "Export into a folder that is not empty", "label study --export study")
_add(
    _LABELS,
    "Export over labels that were filled in",
    "label study --export todo.csv",
    _labels("", "todo.csv"),
)

# -- studies

_STUDY = "Studies"
_DAMAGED = r"(?<=damaged \().*(?=\); restore)"
_add(_STUDY, "A study that does not exist", "show nowhere")
_add(_STUDY, "A file that is not HDF5", "show study", lambda: write("study/study.h5", b"x" * 99), 1, _DAMAGED)
_add(
    _STUDY,
    "A study that was cut off",
    "show study",
    lambda: write("study/study.h5", Path("study/study.h5").read_bytes()[:5000]),
    1,
    _DAMAGED,
)
_add(_STUDY, "An HDF5 file of something else", "show study", changed(lambda file: file.attrs.pop("format")))
_add(_STUDY, "A study of a later version", "show study", changed(lambda file: file.attrs.update(version=9)))
_add(_STUDY, "Settings that are not JSON", "show study", changed(lambda file: file.attrs.update(settings="{")),
     foreign=r"(?<=JSON \().*(?=\);)")  # fmt: skip
_add(
    _STUDY,
    "Settings of the wrong kind",
    "show study",
    changed(lambda file: file.attrs.update(settings=json.dumps({"model": "a:b", "test": "x", "seed": "0"}))),
)
_add(
    _STUDY,
    "A missing dataset",
    "show study",
    changed(lambda file: file.pop("splits/test/label")),
    1,
    _DAMAGED,
)
_add(
    _STUDY, "Errors that are not in the test set", "show study", changed(lambda file: file["error"].write_direct(
        np.full(file["error"].shape, 10**6))), 1,
)  # fmt: skip
_add(
    _STUDY,
    "An external link",
    "show study",
    changed(lambda file: file.__setitem__("x", h5py.ExternalLink("/home/ann/other.h5", "/"))),
    1,
)
_add(
    _STUDY,
    "A soft link",
    "show study",
    changed(lambda file: file.__setitem__("x", h5py.SoftLink("/error"))),
    1,
)


def _virtual(source: str) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(source, "x", (4,))
        file.create_virtual_dataset("x", layout)

    return change


def _external(file: h5py.File) -> None:
    file.create_dataset("x", (100,), "u1", external=[("/etc/passwd", 0, 100)])


_add(_STUDY, "A virtual dataset of another file", "show study", changed(_virtual("/home/ann/other.h5")), 1)
_add(_STUDY, "A virtual dataset that climbs out", "show study", changed(_virtual("shards/../../other.h5")), 1)
_add(_STUDY, "Values that lie in another file", "show study", changed(_external), 1)
_add(
    _STUDY,
    "An HDF5 bomb",
    "show study",
    changed(lambda file: file.create_dataset("x", (2**40,), "f8", chunks=(1024,), compression="gzip")),
    1,
)


def _without_shards() -> None:
    for shard in Path("study/shards/heatmaps").rglob("*.h5"):
        shard.unlink()


_add(_STUDY, "Heatmaps whose shard is gone", "export study --format tensors", _without_shards, 1,
     foreign=r"(?<=heatmaps/)\w+")  # fmt: skip
_add(
    _STUDY,
    "A study that another machine is writing",
    "cluster study --max-clusters 3",
    lambda: write("study/.lock", json.dumps({"pid": 7, "host": "elsewhere", "since": 4102444800})),
    1,
)
_add(
    _STUDY,
    "A study without an improvement set",
    "select study",
    changed(lambda file: file.attrs.update(settings=_without(file.attrs["settings"], "improvement"))),
)
_add(
    _STUDY,
    "A study without a training set",
    "retrain study",
    changed(lambda file: file.attrs.update(settings=_without(file.attrs["settings"], "train"))),
)
_new(_STUDY, "A model that makes no error", "--test bad.npz", lambda: _right(), 1)


def _without(settings: str, name: str) -> str:
    return json.dumps({key: value for key, value in json.loads(settings).items() if key != name})


def _right() -> None:
    """A test set of those images that the sound model gets right."""
    from hudd.study import Study

    right = Study.open("study").split("test").correct
    arrays = np.load("test.npz")
    np.savez("bad.npz", **{name: a[right] if len(a) == len(right) else a for name, a in arrays.items()})
