"""What a frozen model writes behind its rows, and how likely it finds a continuation."""
