"""The command ``bronze-copier sample``: a lake of sample ledgers to try the copier on.

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
from pipeline.sample.chain import STANDALONE_PASSPHRASE
from pipeline.sample.config_file import configuration, write_configuration
from pipeline.sample.lake_writer import SampleLake, SampleOptions, write_sample_lake

_DEFAULTS = SampleOptions()
_STANDALONE = "standalone"
_NETWORKS = {_STANDALONE: STANDALONE_PASSPHRASE, **PASSPHRASES}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("out", metavar="OUT", type=Path, help="directory of the lake: a new or empty one")
    parser.add_argument(
        "--ledgers",
        metavar="N",
        type=int,
        default=_DEFAULTS.ledgers,
        help="how many; whole files are written (default %(default)s)",
    )
    parser.add_argument(
        "--first", metavar="SEQ", type=int, default=_DEFAULTS.first, help="first ledger (default %(default)s)"
    )
    parser.add_argument(
        "--ledgers-per-file", metavar="K", type=int, default=_DEFAULTS.ledgers_per_file, help="default %(default)s"
    )
    parser.add_argument(
        "--files-per-directory",
        metavar="P",
        type=int,
        default=_DEFAULTS.files_per_directory,
        help="1 for no directories (default %(default)s)",
    )
    parser.add_argument(
        "--extension", choices=EXTENSIONS, default=_DEFAULTS.extension, help="of the files (default %(default)s)"
    )
    parser.add_argument("--no-config", action="store_true", help="leave the lake's .config.json out")
    parser.add_argument(
        "--network",
        choices=_NETWORKS,
        default=_STANDALONE,
        help="whose passphrase the ledgers are signed for (default %(default)s)",
    )
    parser.add_argument(
        "--protocols",
        metavar="P[,P...]",
        type=protocol_list,
        default=",".join(map(str, _DEFAULTS.protocols)),
        help="protocols the chain upgrades through, rising (default %(default)s)",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=_DEFAULTS.seed, help="another one makes other ledgers")
    parser.add_argument(
        "--transactions",
        metavar="N",
        type=int,
        default=_DEFAULTS.transactions,
        help="of a ledger on average, about 3 KB each (default %(default)s)",
    )
    parser.add_argument("--write-config", metavar="FILE", type=Path, help="write a configuration that copies the lake")
    parser.add_argument("--eras", metavar="N", type=int, default=1, help="eras of that configuration (default 1)")


def run(args: argparse.Namespace) -> int:
    """Make the lake and say what it is; returns the exit status 0.

    Raises:
        ConfigError: arguments that no lake can have.
        ConflictError: the directory, or the configuration's file, holds something else.
    """
    try:
        options = SampleOptions(
            first=args.first,
            ledgers=args.ledgers,
            ledgers_per_file=args.ledgers_per_file,
            files_per_directory=args.files_per_directory,
            extension=args.extension,
            config=not args.no_config,
            passphrase=_NETWORKS[args.network],
            protocols=args.protocols,
            seed=args.seed,
            transactions=args.transactions,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    # The configuration is made before the lake: what is wrong with it should not take a lake to find out.
    content = None
    if args.write_config is not None:
        content = configuration(
            options.plan,
            lake=args.out.resolve(),
            network=args.network,
            eras=args.eras,
            directory=args.write_config.resolve().parent,
        )
    print(summary(write_sample_lake(args.out, options)))
    if content is not None:
        write_configuration(args.write_config, content)
        print(f"configuration: {args.write_config}")
    return 0


def summary(lake: SampleLake) -> str:
    """What there is to say about `lake`, in three lines."""
    state = "was there already, identical" if lake.existed else "written"
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
    """Protocols as the command line has them: ``20,22,26``."""
    return tuple(int(part) for part in text.split(","))
