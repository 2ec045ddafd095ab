"""The command line ``bronze-copier``.

Beam and pyarrow are imported by the commands that need them: ``-version`` and ``-validate`` answer at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bronze.errors import BronzeError, ConfigError
from bronze.producer import this_producer
from pipeline.exit_status import DONE, UNDONE, USAGE

_LOG = logging.getLogger(__name__)
_COMMANDS = ("run", "plan", "verify", "deliver", "repair", "clean", "sample")
#: Those that read the lake; the others need none of its settings.
_OF_A_LAKE = ("run", "plan")
_DESCRIPTION = """\
Copies raw Stellar ledgers from a Galexie lake into verified, immutable parquet partitions and keeps a
hash-chained audit stream of what it copied.

commands:
  run      copy what is missing (the default)
  plan     show what a run would do: eras, partitions, ledgers, files; writes nothing
  verify   check events, links, manifests and checksums of what was published
  deliver  send the audit events that the endpoint has not taken yet
  repair   put checkpoint, chain heads and delivery record right, from the event files
  clean    remove what runs that were killed left unfinished (on object stores: more than a day ago)
  sample   make a sample lake, and a configuration that copies it

exit status:
  0  done
  1  something was left undone or does not hold; the last lines say what and why
  2  the configuration or the command line is wrong
  130, 143  stopped by SIGINT or SIGTERM, after what was being committed was finished
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    own, beam_arguments = arguments, []
    if "--" in arguments:
        at = arguments.index("--")
        own, beam_arguments = arguments[:at], arguments[at + 1 :]
    command = own.pop(0) if own and own[0] in _COMMANDS else "run"
    parser = _parser(command)
    options = parser.parse_args(own)
    if beam_arguments and command != "run":
        parser.error(f"{command} takes no Beam options")
    try:
        if command == "sample":
            from pipeline.commands.sample import run

            return run(options)
        return _configured(command, options, beam_arguments)
    except ConfigError as error:
        print(f"bronze-copier: {error}", file=sys.stderr)
        return USAGE
    except (BronzeError, OSError) as error:
        print(f"bronze-copier: {type(error).__name__}: {error}", file=sys.stderr)
        return UNDONE


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bronze-copier" if command == "run" else f"bronze-copier {command}",
        usage=None if command == "sample" else f"bronze-copier [{'|'.join(_COMMANDS)}] [options] [-- BEAM_OPTIONS]",
        description=_DESCRIPTION if command == "run" else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if command == "sample":
        from pipeline.commands.sample import add_arguments

        add_arguments(parser)
        return parser
    parser.add_argument("-config", "--config", type=Path, metavar="FILE", help="YAML settings (or CONFIG_FILE)")
    parser.add_argument("--eras", default="", metavar="A,B", help="only these eras of the settings")
    if command in ("run", "plan"):
        parser.add_argument(
            "--publish-partial",
            action="store_true",
            help="with ledger_end 0: publish the last, incomplete partition too",
        )
    if command == "run":
        parser.add_argument(
            "--dry-run", action="store_true", help="read, verify and encode; report sizes and checksums; write nothing"
        )
        parser.add_argument("-validate", "--validate", action="store_true", help="check the settings and end")
        version = f"bronze-copier {this_producer().version} ({this_producer().git_sha})"
        parser.add_argument("-version", "--version", action="version", version=version)
    return parser


def _configured(command: str, options: argparse.Namespace, beam_arguments: list[str]) -> int:
    from pipeline.settings import LAKE_SECTIONS, check_places, load
    from pipeline.telemetry import logs

    settings = load(options.config, unused=() if command in _OF_A_LAKE else LAKE_SECTIONS)
    logs.configure(settings.logging.format, settings.logging.level, secrets=settings.secrets(os.environ))
    for note in settings.notes:
        _LOG.warning("%s", note)
    era_ids = [name.strip() for name in options.eras.split(",") if name.strip()]
    if getattr(options, "validate", False):
        problems = check_places(settings)
        if problems:
            raise ConfigError("\n".join(map(str, problems)))
        eras = ", ".join(era.chain for era in settings.active(era_ids or None))
        print(f"the configuration is valid: {eras}")
        return DONE
    from pipeline.commands import run as commands

    if command == "run":
        return commands.run(
            settings,
            era_ids,
            beam_arguments,
            partial=options.publish_partial,
            dry_run=options.dry_run,
        )
    if command == "plan":
        return commands.plan(settings, era_ids, partial=options.publish_partial)
    others = {
        "verify": commands.verify,
        "deliver": commands.deliver,
        "repair": commands.repair,
        "clean": commands.clean,
    }
    return others[command](settings, era_ids)


if __name__ == "__main__":
    sys.exit(main())
