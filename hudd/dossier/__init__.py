"""A study as evidence for a safety case: triggering conditions with their failure rates, status and provenance."""

from hudd.dossier.content import Dossier, schema
from hudd.dossier.folder import write
from hudd.review.decisions import Decision, read_decisions

__all__ = ["Decision", "Dossier", "read_decisions", "schema", "write"]
