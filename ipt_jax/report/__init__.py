"""The report on finished runs: tables, findings, training curves and a page to browse the examples."""

from ipt_jax.report.drawing.setting_tables import terminal_table
from ipt_jax.report.page.page import render

__all__ = ["render", "terminal_table"]
