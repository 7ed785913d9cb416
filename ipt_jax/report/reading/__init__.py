"""Run folders read into settings, methods and runs, with their statistics."""
