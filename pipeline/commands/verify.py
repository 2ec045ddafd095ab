"""The command ``bronze-copier verify``: check what was published against its chain."""

from __future__ import annotations

import argparse
from dataclasses import fields

from pipeline.commands.configured import add_config_arguments, chosen_eras, load_settings
from pipeline.commands.verify_audit import AuditRequest, audit
from pipeline.exit_status import DONE, UNDONE

_LEVELS = ("manifests", "files", "rows", "source")

DESCRIPTION = """\
Checks what was published against its chain: the hash, the links and every field of each audit event, the ledger links
between partitions, every manifest, and each parquet file's size, checksum, footer, first and last row; the chain head
and the checkpoint; files that do not belong there. Names the ledgers that have no partition, and says what was not
checked. Needs no lake and no permission to write.

With a URL, or with any option below --eras, audits what is published at a level instead, and needs nothing but
the URL of a bronze prefix (or a configuration):
  manifests  every partition has one that fits it, its neighbours and the size of its file
  files      the SHA-256, schema and row count of every parquet file as well (the default)
  rows       every row as well: its order, its XDR, its hashes and links, every column against its bytes
  source     the bytes of every row against the lake as well
"""
EXIT_STATUS = """\
  0  every chain holds, and nothing that is wanted is missing
  1  a chain does not hold, is incomplete, is not there at all, or cannot be read; the last lines say what and why
  2  the configuration or the command line is wrong
  3  an audit at a level could not check something (unreachable, denied, interrupted); what it checked holds
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)
    parser.add_argument("url", nargs="?", default="", metavar="URL", help="a bronze prefix: a path, s3:// or gs://")
    parser.add_argument("--level", default="", choices=_LEVELS, help="how deep to check (default files)")
    parser.add_argument("--from", dest="first", type=int, metavar="LEDGER", help="only partitions from this ledger on")
    parser.add_argument("--to", dest="last", type=int, metavar="LEDGER", help="only partitions up to this ledger")
    parser.add_argument(
        "--subset", default="", metavar="K/N|P%", help="look into the K-th of N parts, or a percentage: always the same"
    )
    parser.add_argument("--workers", type=_positive, default=1, metavar="N", help="partitions at once (default 1)")
    parser.add_argument(
        "--chain", nargs="?", const="", metavar="URL", help="check the audit events too, those there or as configured"
    )
    parser.add_argument("--expect-head", default="", metavar="HASH", help="an event hash known from elsewhere")
    parser.add_argument("--expect-events", type=int, metavar="N", help="the chain has so many events, or more")
    parser.add_argument("--lake", default="", metavar="URL", help="the lake that --level source compares with")
    parser.add_argument("--passphrase", default="", metavar="TEXT", help="of a network whose name does not tell it")
    parser.add_argument("--endpoint", metavar="URL", help="of the object store of URL")
    parser.add_argument("--region", metavar="NAME", help="of the bucket of URL")
    parser.add_argument("--anonymous", action="store_true", help="send no credentials")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print one JSON document")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _request(options: argparse.Namespace) -> AuditRequest:
    given = {field.name: getattr(options, field.name) for field in fields(AuditRequest) if field.name != "eras"}
    return AuditRequest(eras=tuple(chosen_eras(options)), **given)


def run(options: argparse.Namespace) -> int:
    """Verify the chain of each era, or audit at a level, and print what was found."""
    request = _request(options)
    if request.is_asked_for:
        return audit(request, lambda needs_lake: load_settings(options, needs_lake=needs_lake))
    settings = load_settings(options, needs_lake=False)
    from bronze.verify.verification import Verdict
    from bronze.verify.verifier import verify_chain
    from pipeline.commands.text import print_lines, verification_lines
    from pipeline.launch.prepare import connect_without_lake

    with connect_without_lake(settings, chosen_eras(options), writes=False) as connections:
        dataset = connections.dataset()
        verifications = [
            verify_chain(era, dataset, log=connections.event_log(era), checkpoint=connections.checkpoint(era))
            for era in connections.job.eras
        ]
    print_lines(line for verification in verifications for line in verification_lines(verification))
    return DONE if all(verification.verdict is Verdict.HOLDS for verification in verifications) else UNDONE
