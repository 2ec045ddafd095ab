"""Room object_store."""
