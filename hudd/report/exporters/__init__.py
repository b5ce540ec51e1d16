"""A study's findings in the formats of the tools that people look at images with."""

from hudd.report.exporters.parquet import export_parquet
from hudd.report.exporters.virelay import export_virelay

EXPORTERS = {"virelay": export_virelay, "parquet": export_parquet}
"""Name to exporter: each takes a study and a directory and returns the file to open."""

__all__ = ["EXPORTERS", "export_parquet", "export_virelay"]
