"""The task that comes with the package: invented records with their descriptions."""
