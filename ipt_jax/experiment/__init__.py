"""A config → runs → populations → results; the only room that knows all others."""
