"""The arguments of the operations in a captured graph."""

from __future__ import annotations

from typing import Any

from torch import fx


def arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of a call by their names in the operation's schema, defaults included."""
    schema = node.target._schema  # type: ignore[union-attr]
    named = {
        argument.name: argument.default_value for argument in schema.arguments if argument.has_default_value()
    }
    named.update(zip((argument.name for argument in schema.arguments), node.args))
    named.update(node.kwargs)
    return named
