"""Models and weights that cannot be used."""

from __future__ import annotations

import os

import torch
from case import module, new, write

_MODEL = "Models and weights"


_NET = "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))\n"
new(_MODEL, "A spec without a factory", "--model cnn")
new(_MODEL, "A module that is not installed", "--model nowhere.nets:cnn")
new(_MODEL, "A file that does not exist", "--model nowhere.py:cnn")
new(
    _MODEL,
    "A file that is not Python",
    "--model bad.py:net",
    module("def net(:"),
    foreign=r"(?<=SyntaxError: ).*(?= Fix)",
)
new(_MODEL, "A file that fails on import", "--model bad.py:net", module("raise OSError('no licence')"))
new(_MODEL, "A file without that function", "--model model.py:resnet")
new(_MODEL, "A factory that needs an argument", "--model bad.py:net", module("def net(depth): pass"))
new(
    _MODEL,
    "A factory that fails, with a password in its message",
    "--model bad.py:net",
    module("def net(): raise OSError('https://ann:s3cret@host/w.pth gives 403')"),
)
new(_MODEL, "A factory that makes no module", "--model bad.py:net", module("def net(): return 7"))
new(_MODEL, "A program that does not exist", "--model nowhere.pt2")
new(
    _MODEL,
    "A damaged program",
    "--model bad.pt2",
    lambda: write("bad.pt2", b"not a program"),
    foreign=r"(?<=program \().*(?=\); save)",
)
new(
    _MODEL,
    "A program and weights",
    "--model bad.pt2 --weights cnn.safetensors",
    lambda: write("bad.pt2", b"not a program"),
)
new(
    _MODEL,
    "A model that is no classifier",
    "--model bad.py:net",
    module("from torch import nn\ndef net(): return nn.Conv2d(1, 9, 3)"),
)
new(
    _MODEL,
    "A model for images of another size",
    "--model bad.py:net",
    module(_NET),
    foreign=r"(?<=1x8x8 \().*(?=\); give)",
)
new(
    _MODEL,
    "An operation without a relevance rule",
    "--model bad.py:Net",
    module(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.last = nn.Linear(64, 3)\n    def forward(self, x):\n"
        "        return self.last(x.flatten(1).cumsum(1))\n"
    ),
)
new(
    _MODEL,
    "A forward that branches on its input",
    "--model bad.py:Net",
    module(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.last = nn.Linear(64, 3)\n    def forward(self, x):\n"
        "        return self.last(x.flatten(1) if x.sum() > 0 else -x.flatten(1))\n"
    ),
    foreign=r"(?<=1, 8, 8\): ).*(?=\. Give it the input)",
)
new(_MODEL, "Weights that do not exist", "--weights nowhere.pth")
new(
    _MODEL,
    "Damaged safetensors",
    "--weights bad.safetensors",
    lambda: write("bad.safetensors", b"\xff" * 40),
    foreign=r"(?<=safetensors \().*(?=\); write)",
)
new(
    _MODEL,
    "Damaged weights",
    "--weights bad.pth",
    lambda: write("bad.pth", b"PK\3\4" + b"\0" * 60),
    foreign=r"(?<=read \().*(?=\); save)",
)


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("was-run",)


new(
    _MODEL,
    "Weights that run code when they are unpickled",
    "--weights bad.pth",
    lambda: torch.save({"state_dict": {}, "by": _Runs()}, "bad.pth"),
)
new(_MODEL, "Weights that are no state dict", "--weights bad.pth", lambda: torch.save([1, 2], "bad.pth"))
new(
    _MODEL,
    "Weights of another network",
    "--weights bad.pth",
    lambda: torch.save(torch.nn.Linear(3, 2).state_dict(), "bad.pth"),
)
new(
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
new(
    _MODEL,
    "Weights that are not numbers",
    "--model bad.py:net",
    module(
        "import torch\nfrom hudd.data import Transform\nfrom torch import nn\n\n\ndef net():\n"
        "    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
        "    nn.init.constant_(made[1].weight, float('nan'))\n    return made\n\n\n"
        "net.transform = Transform(grayscale=True)\n"
    ),
    code=1,
)


def _two_sets() -> None:
    state = {"0.weight": torch.ones(2, 1, 3, 3), "0.bias": torch.ones(2), "4.weight": torch.ones(3, 18)}
    state["4.bias"] = torch.ones(3)
    torch.save({"model": state, "ema": {name: 2 * value for name, value in state.items()}}, "bad.pth")


new(_MODEL, "A checkpoint with two sets of weights that fit", "--weights bad.pth", _two_sets)
new(
    _MODEL,
    "A model that returns a dictionary of several tensors",
    "--model bad.py:Net",
    module(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.last = nn.Linear(64, 3)\n    def forward(self, x):\n"
        "        return {'logits': self.last(x.flatten(1)), 'pixels': x}\n"
    ),
)
