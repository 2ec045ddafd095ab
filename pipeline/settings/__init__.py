"""The settings of a run: what an operator writes in a YAML file and in the environment.

::

    settings = load("config.yaml")           # ConfigError lists everything that is wrong
    for problem in check_places(settings):   # what the disk has to say
        ...
    for era in settings.active():
        ...

``docs/configuration.md`` lists every key. `pipeline.settings.model` holds them, `pipeline.settings.load` puts
file and environment together, `pipeline.settings.locations` says which places they mean,
`pipeline.settings.directories` looks at the directories among them. None of these import Beam.
"""

from __future__ import annotations

from pipeline.settings.directories import check_places
from pipeline.settings.load import VARIABLES, known_keys, load
from pipeline.settings.locations import local_place
from pipeline.settings.model import LAKE_SECTIONS, EraSettings, Settings

__all__ = ["LAKE_SECTIONS", "VARIABLES", "EraSettings", "Settings", "check_places", "known_keys", "load", "local_place"]
