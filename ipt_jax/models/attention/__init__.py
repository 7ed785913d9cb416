"""Attention in its forms: over whole rows, in blocks for gradients, over kept keys and values, on a TPU."""
