"""Libraries that take long to load, each loaded when something in it is first used.

``from hudd.lazy import torch`` in place of ``import torch`` lets a module that only reads results, or declares what
others compute, be imported without the second that torch takes. What needs the library at once, as a base class or a
decorator does, imports it as usual.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = [
    "decomposition",
    "distance",
    "functional",
    "hierarchy",
    "linalg",
    "ndimage",
    "nn",
    "random_projection",
    "sklearn_base",
    "sklearn_cluster",
    "sklearn_neighbors",
    "special",
    "torch",
]

if TYPE_CHECKING:
    import torch
    from scipy import linalg, ndimage, special
    from scipy.cluster import hierarchy
    from scipy.spatial import distance
    from sklearn import base as sklearn_base
    from sklearn import cluster as sklearn_cluster
    from sklearn import decomposition, random_projection
    from sklearn import neighbors as sklearn_neighbors
    from torch import nn
    from torch.nn import functional
else:

    class _Lazy(ModuleType):
        """Stands for a module; what is looked up or changed in it, is so in the module."""

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self.__name__), name)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(importlib.import_module(self.__name__), name, value)

        def __delattr__(self, name: str) -> None:
            delattr(importlib.import_module(self.__name__), name)

    torch = _Lazy("torch")
    nn = _Lazy("torch.nn")
    functional = _Lazy("torch.nn.functional")
    linalg = _Lazy("scipy.linalg")
    ndimage = _Lazy("scipy.ndimage")
    special = _Lazy("scipy.special")
    hierarchy = _Lazy("scipy.cluster.hierarchy")
    distance = _Lazy("scipy.spatial.distance")
    sklearn_base = _Lazy("sklearn.base")
    sklearn_cluster = _Lazy("sklearn.cluster")
    sklearn_neighbors = _Lazy("sklearn.neighbors")
    decomposition = _Lazy("sklearn.decomposition")
    random_projection = _Lazy("sklearn.random_projection")
