"""A study's results in numbers: tables, a few figures, and what a notebook shows."""

from hudd.summary.acceptance import acceptance_record, confirming, verdicts
from hudd.summary.causes import CauseFacts, cause_facts
from hudd.summary.cautions import assignment_line, cautions
from hudd.summary.errors import MeanError, mean_errors
from hudd.summary.findings import Causes, Clusters, FailureCount, Findings, Split
from hudd.summary.headline import describe, headline, summarise
from hudd.summary.notebook import to_html
from hudd.summary.requirements import Requirements, read_requirements
from hudd.summary.severity import ErrorSeverity, severities_of, severity_of_errors
from hudd.summary.tables import TABLES, available_tables, records, selection_table, table

__all__ = [
    "TABLES",
    "CauseFacts",
    "Causes",
    "Clusters",
    "ErrorSeverity",
    "FailureCount",
    "Findings",
    "MeanError",
    "Requirements",
    "Split",
    "acceptance_record",
    "assignment_line",
    "available_tables",
    "cause_facts",
    "cautions",
    "confirming",
    "describe",
    "headline",
    "mean_errors",
    "read_requirements",
    "records",
    "selection_table",
    "severities_of",
    "severity_of_errors",
    "summarise",
    "table",
    "to_html",
    "verdicts",
]
