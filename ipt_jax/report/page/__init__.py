"""The page that people open, and the tables as files."""
