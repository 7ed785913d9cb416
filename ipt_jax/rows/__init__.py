"""Examples → rows of tokens → batches."""
