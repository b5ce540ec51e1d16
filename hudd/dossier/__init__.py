"""A study as evidence for a safety case: triggering conditions with their failure rates, status and provenance."""

from hudd.dossier.content import Dossier, schema
from hudd.dossier.folder import write

__all__ = ["Dossier", "schema", "write"]
