"""From a torch model to a graph that relevance can be sent through."""

from hudd.capture.export import capture
from hudd.capture.graph import RelevanceGraph

__all__ = ["RelevanceGraph", "capture"]
