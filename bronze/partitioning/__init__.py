"""Room partitioning."""
