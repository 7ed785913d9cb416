"""Arithmetic, bytes that devices exchange, and the hardware that they are seconds on."""
