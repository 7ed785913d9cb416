"""One population's steps: what it learns from, its losses, its optimizer, the loop, its checkpoints."""
