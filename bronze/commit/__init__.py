"""Room commit."""
