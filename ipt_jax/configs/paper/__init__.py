"""The experiments of the paper; `base` has what they share."""
