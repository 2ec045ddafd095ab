"""Beam's own parser of options, asked beforehand: of what it does not know Beam would only warn."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bronze.errors import ConfigError


def unknown_to_beam(arguments: Sequence[str]) -> list[str]:
    """The words among `arguments` that are no option of Beam's, nor the value of one; loads Beam.

    Raises:
        ConfigError: an option cannot have its value.
    """
    from apache_beam.options.pipeline_options import PipelineOptions  # takes seconds

    parser = _Parser(allow_abbrev=False, add_help=False, conflict_handler="resolve")
    for kind in {str(kind): kind for kind in PipelineOptions.__subclasses__()}.values():
        kind._add_argparse_args(parser)
    return parser.parse_known_args(list(arguments))[1]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ConfigError(f"Beam does not take these options: {message}")
