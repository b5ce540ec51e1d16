"""The report: one HTML file that shows what a study has found."""

from hudd.report.report import write_report

__all__ = ["write_report"]
