"""Fixtures `ledgers` and `walker` of `tests.support.made_ledgers`."""

from tests.support.made_ledgers import ledgers, walker

__all__ = ["ledgers", "walker"]
