"""Checks everything that a run relies on, before it: `examination.examine`, printed by ``bronze-copier doctor``.

`lake`, `places`, `services`, `space` and `clock` hold the checks; each returns a `check.Check`, whatever it finds.
"""

__all__: list[str] = []
