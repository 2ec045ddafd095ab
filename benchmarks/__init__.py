"""Benchmarks: ``python -m benchmarks``. Ratios within one run, on honest lakes; see docs/performance.md."""
