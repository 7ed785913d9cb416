"""What an experiment would cost, before anything is spent."""
