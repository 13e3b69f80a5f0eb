"""The page of a validation: verdict in words, memory, every layer from every engine side by side, and the evidence."""

from firmware_tools.report.write import write_report

__all__ = ["write_report"]
