"""Inputs that cannot be used, a file a section of docs/bad-inputs.md, in its order.

The page is made from these by ``python tests/bad_inputs/table.py``.
"""

# isort: off
import calls  # noqa: F401
import models  # noqa: F401
import images  # noqa: F401
import manifests  # noqa: F401
import archives  # noqa: F401
import packed  # noqa: F401
import labels  # noqa: F401
import quantities  # noqa: F401
import annotations  # noqa: F401
import criteria  # noqa: F401
import studies  # noqa: F401
import differences  # noqa: F401
import monitors  # noqa: F401
from case import CASES  # noqa: F401
