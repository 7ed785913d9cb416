"""Spider's metrics, as its official scripts compute them."""
