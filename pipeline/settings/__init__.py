"""The settings of a run: what an operator writes into a YAML file and the environment. ``docs/configuration.md`` lists
every key.

::

    settings = load("config.yaml")           # ConfigError lists every problem of the file and the environment
    locations = checked_locations(settings)  # ConfigError lists every problem of the directories
    for era in settings.active():
        ...

Begin with `model` (a section a class, a key an attribute); `types` says what a key accepts, `document` reads the YAML
file, `load` puts file and environment together, `checks` compares keys, `locations` turns keys into storage locations,
`directories` checks those that are directories, `problem` is what all of them report. No module here opens a store,
asks a service, or imports Beam or pyarrow: the program checks its settings before it loads either.
"""

from __future__ import annotations

from pipeline.settings.directories import Locations, checked_locations
from pipeline.settings.load import load
from pipeline.settings.model import LAKE_SECTIONS, EraSettings, Settings

__all__ = ["LAKE_SECTIONS", "EraSettings", "Locations", "Settings", "checked_locations", "load"]
