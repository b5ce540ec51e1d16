"""Image sources, transforms, batches and the bundled cases."""

from hudd.data.base import ImageSource
from hudd.data.cases import Case, get_case
from hudd.data.loader import batches
from hudd.data.sources import open_source
from hudd.data.transforms import Transform
from hudd.parts import CASES

__all__ = ["CASES", "Case", "ImageSource", "Transform", "batches", "get_case", "open_source"]
