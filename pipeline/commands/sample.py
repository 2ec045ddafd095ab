"""The command ``bronze-copier sample``: make a lake of sample ledgers, and a configuration that copies it.

::

    bronze-copier sample ./lake --write-config ./try/config.yaml
    bronze-copier --config ./try/config.yaml
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bronze.errors import ConfigError
from bronze.lake.layout import EXTENSIONS
from bronze.stellar import PASSPHRASES
from pipeline.exit_status import DONE
from pipeline.sample.chain import STANDALONE_PASSPHRASE
from pipeline.sample.config_file import sample_configuration, write_configuration
from pipeline.sample.lake_writer import SampleLake, write_sample_lake
from pipeline.sample.options import SampleOptions

DESCRIPTION = """\
Makes a Galexie lake of generated ledgers to try the copier on. Every hash and signature holds, and every version of the
close meta occurs. The same arguments make the same bytes; a lake that is there already is compared and left alone.
"""
EXIT_STATUS = """\
  0  the lake, and the configuration if one is asked for, is there
  1  the directory or the file holds something else, or cannot be written
  2  the command line is wrong
"""

_DEFAULTS = SampleOptions()
_STANDALONE = "standalone"
_NETWORKS = {_STANDALONE: STANDALONE_PASSPHRASE, **PASSPHRASES}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("out", metavar="OUT", type=Path, help="directory of the lake: new or empty")
    parser.add_argument(
        "--ledgers",
        metavar="N",
        type=int,
        default=_DEFAULTS.ledgers,
        help="number of ledgers; whole files are written (default %(default)s)",
    )
    parser.add_argument(
        "--first", metavar="SEQ", type=int, default=_DEFAULTS.first, help="first ledger (default %(default)s)"
    )
    parser.add_argument(
        "--ledgers-per-file",
        metavar="K",
        type=int,
        default=_DEFAULTS.ledgers_per_file,
        help="ledgers in each file (default %(default)s)",
    )
    parser.add_argument(
        "--files-per-directory",
        metavar="P",
        type=int,
        default=_DEFAULTS.files_per_directory,
        help="files in each directory; 1 for no directories (default %(default)s)",
    )
    parser.add_argument(
        "--extension",
        choices=EXTENSIONS,
        default=_DEFAULTS.extension,
        help="extension of the files (default %(default)s)",
    )
    parser.add_argument("--no-config", action="store_true", help="do not write the lake's .config.json")
    parser.add_argument(
        "--network",
        choices=_NETWORKS,
        default=_STANDALONE,
        help="network that the ledgers are signed for (default %(default)s)",
    )
    parser.add_argument(
        "--protocols",
        metavar="P[,P...]",
        type=protocol_list,
        default=",".join(map(str, _DEFAULTS.protocols)),
        help="protocols that the chain upgrades through, ascending (default %(default)s)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=_DEFAULTS.seed,
        help="seed of the generator: another seed makes other ledgers (default %(default)s)",
    )
    parser.add_argument(
        "--transactions",
        metavar="N",
        type=int,
        default=_DEFAULTS.transactions,
        help="transactions in a ledger on average, about 3 KB each (default %(default)s)",
    )
    parser.add_argument("--write-config", metavar="FILE", type=Path, help="write a configuration that copies the lake")
    parser.add_argument(
        "--eras", metavar="N", type=int, default=1, help="number of eras in that configuration (default 1)"
    )


def run(options: argparse.Namespace) -> int:
    """Make the lake, and the configuration if one is asked for; print what was made.

    Raises:
        ConfigError: no lake can have these options.
        ConflictError: the directory, or the file of the configuration, holds something else.
    """
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
    print(summary(write_sample_lake(options.out, lake_options)))
    if content is not None:
        write_configuration(options.write_config, content)
        print(f"configuration: {options.write_config}")
    return DONE


def summary(lake: SampleLake) -> str:
    """What `lake` holds, in three lines."""
    state = "already there, identical" if lake.existed else "written"
    mean = lake.xdr_bytes / lake.count / 1024
    layout = f"{lake.ledgers_per_file} ledgers per file, {lake.files_per_directory} files per directory"
    return "\n".join(
        [
            f"sample lake {lake.root}: {state}",
            f"ledgers {lake.first}-{lake.last} ({lake.count}), {mean:.1f} KiB of XDR each",
            f"{lake.objects} .xdr.{lake.extension} objects, {lake.bytes / 1024**2:.1f} MiB, {layout}",
        ]
    )


def protocol_list(text: str) -> tuple[int, ...]:
    """The protocols that a text such as ``20,22,26`` lists; raises ValueError when it is not such a list."""
    return tuple(int(part) for part in text.split(","))
