"""Figures and the tables of a setting."""
