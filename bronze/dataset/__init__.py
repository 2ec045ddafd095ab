"""Room dataset."""
