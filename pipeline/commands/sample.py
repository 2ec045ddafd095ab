"""The command ``bronze-copier sample``: make a lake of sample ledgers, and a configuration that copies it.

::

    bronze-copier sample ./lake --write-config ./try/config.yaml
    bronze-copier --config ./try/config.yaml
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bronze.errors import ConfigError
from bronze.lake.layout import EXTENSIONS
from bronze.stellar import PASSPHRASES
from pipeline.commands.configured import VERBOSITY, log_without_settings
from pipeline.commands.options import JSON, Options, argument, flag, option, whole_number
from pipeline.commands.output import print_json, print_lines
from pipeline.exit_status import DONE
from pipeline.sample.chain import STANDALONE_PASSPHRASE
from pipeline.sample.config_file import sample_configuration, validators_file, write_configuration
from pipeline.sample.lake_writer import SampleLake, write_sample_lake
from pipeline.sample.options import SampleOptions
from pipeline.sizes import number_of

DESCRIPTION = """\
Makes a Galexie lake of generated ledgers in the directory OUT, new or empty, to try the copier on. Every hash and
signature holds, and every version of the close meta occurs. The same arguments make the same bytes; a lake that is
there already is compared and left alone.
"""
EXAMPLES = """\
  bronze-copier sample data/lake --ledgers 200 --write-config data/config.yaml
"""
EXIT_STATUS = """\
  0  the lake, and the configuration if one is asked for, is there
  1  the directory or the file holds something else, or cannot be written
  2  the command line is wrong
"""

#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/sample/1"
_DEFAULTS = SampleOptions()
_PROTOCOLS = ",".join(map(str, _DEFAULTS.protocols))
_STANDALONE = "standalone"
_NETWORKS = {_STANDALONE: STANDALONE_PASSPHRASE, **PASSPHRASES}


def protocol_list(text: str) -> tuple[int, ...]:
    """The protocols that a text such as ``20,22,26`` lists; raises ValueError when it is not such a list."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is not a list of protocols such as 20,22,26") from None


def _number(spelling: str, metavar: str, default: int, help: str) -> click.Option:
    return option(spelling, metavar=metavar, convert=whole_number, default=default, help=f"{help} (default {default})")


OPTIONS: tuple[click.Parameter, ...] = (
    argument("out", metavar="OUT", convert=Path),
    _number("--ledgers", "N", _DEFAULTS.ledgers, "number of ledgers; whole files are written"),
    _number("--first", "SEQ", _DEFAULTS.first, "first ledger"),
    _number("--ledgers-per-file", "K", _DEFAULTS.ledgers_per_file, "ledgers in each file"),
    _number(
        "--files-per-directory", "P", _DEFAULTS.files_per_directory, "files in each directory; 1 for no directories"
    ),
    option(
        "--extension",
        choices=EXTENSIONS,
        default=_DEFAULTS.extension,
        help=f"extension of the files (default {_DEFAULTS.extension})",
    ),
    flag("--no-config", help="do not write the lake's .config.json"),
    option(
        "--network",
        choices=tuple(_NETWORKS),
        default=_STANDALONE,
        help=f"network that the ledgers are signed for (default {_STANDALONE})",
    ),
    option(
        "--protocols",
        metavar="P[,P...]",
        convert=protocol_list,
        default=_PROTOCOLS,
        help=f"protocols that the chain upgrades through, ascending (default {_PROTOCOLS})",
    ),
    _number("--seed", "N", _DEFAULTS.seed, "seed of the generator: another seed makes other ledgers"),
    _number("--transactions", "N", _DEFAULTS.transactions, "transactions in a ledger on average, about 3 KB each"),
    flag(
        "--empty-tx-sets",
        help="from protocol 27 on, some sets that no node could provide (CAP-83); few programs decode them",
    ),
    option("--write-config", metavar="FILE", convert=Path, help="write a configuration that copies the lake"),
    _number("--eras", "N", 1, "number of eras in that configuration"),
    *VERBOSITY,
    JSON,
)


def run(options: Options) -> int:
    """Make the lake, and the configuration if one is asked for; print what was made.

    Raises:
        ConfigError: no lake can have these options.
        ConflictError: the directory, or the file of the configuration, holds something else.
    """
    log_without_settings(options)
    try:
        lake_options = SampleOptions(
            first=options.first,
            ledgers=options.ledgers,
            ledgers_per_file=options.ledgers_per_file,
            files_per_directory=options.files_per_directory,
            extension=options.extension,
            config=not options.no_config,
            passphrase=_NETWORKS[options.network],
            protocols=options.protocols,
            seed=options.seed,
            transactions=options.transactions,
            empty_tx_sets=options.empty_tx_sets,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    # Made before the lake, so that an error in it is found before the lake is written.
    content = None
    if options.write_config is not None:
        content = sample_configuration(
            lake_options.schedule,
            lake=options.out.resolve(),
            network=options.network,
            eras=options.eras,
            directory=options.write_config.resolve().parent,
        )
    lake = write_sample_lake(options.out, lake_options)
    if content is not None:
        validators = validators_file(lake_options.passphrase, lake_options.validators)
        write_configuration(options.write_config, content, validators)
    if options.as_json:
        print_json(_document(lake, options.write_config))
    elif not options.quiet:
        print_lines(summary(lake).splitlines())
        print_lines([f"configuration: {options.write_config}"] if content is not None else [])
    return DONE


def _document(lake: SampleLake, configuration: Path | None) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "exit_status": DONE,
        "lake": str(lake.root.resolve()),
        "existed": lake.existed,
        "first": lake.first,
        "last": lake.last,
        "ledgers": lake.count,
        "objects": lake.objects,
        "bytes": lake.bytes,
        "ledgers_per_file": lake.ledgers_per_file,
        "files_per_directory": lake.files_per_directory,
        "extension": lake.extension,
        "configuration": str(configuration.resolve()) if configuration else None,
    }


def summary(lake: SampleLake) -> str:
    """What `lake` holds, in three lines."""
    state = "already there, identical" if lake.existed else "written"
    mean = lake.xdr_bytes / lake.count / 1024
    layout = f"{number_of(lake.ledgers_per_file, 'ledger')} per file"
    layout += f", {number_of(lake.files_per_directory, 'file')} per directory"
    return "\n".join(
        [
            f"sample lake {lake.root}: {state}",
            f"ledgers {lake.first}-{lake.last} ({lake.count}), {mean:.1f} KiB of XDR each",
            f"{lake.objects} .xdr.{lake.extension} objects, {lake.bytes / 1024**2:.1f} MiB, {layout}",
        ]
    )
