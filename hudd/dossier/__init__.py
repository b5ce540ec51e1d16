"""A study as evidence for a safety case: triggering conditions with their failure rates, status and provenance."""

from hudd.dossier.content import Decision, Dossier, schema
from hudd.dossier.decisions import read_decisions
from hudd.dossier.folder import write

__all__ = ["Decision", "Dossier", "read_decisions", "schema", "write"]
