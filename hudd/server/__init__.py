"""The report and the label page as local pages."""
