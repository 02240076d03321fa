"""What a compilation did and how good the result is: as text, JSON, Markdown and one self-contained page of HTML."""

from qir.debug.report.data import ReportData
from qir.debug.report.gather import report_data
from qir.debug.report.text import bytes_text, report_text
from qir.debug.report.write import check_report, write_report

__all__ = ["ReportData", "bytes_text", "check_report", "report_data", "report_text", "write_report"]
