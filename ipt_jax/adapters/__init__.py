"""What is trained beside the frozen model: the soft prompt, what it starts from, its file."""
