"""Room telemetry."""
