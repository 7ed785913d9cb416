"""One way to look at results in each file: its tables, figures and words."""
