"""The command ``bronze-copier verify``: check what was published against its chain."""

from __future__ import annotations

from dataclasses import fields

import click

from pipeline.commands.configured import CONFIG_OPTIONS, chosen_eras, load_settings
from pipeline.commands.options import Options, argument, flag, option, whole_number
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
EXAMPLES = """\
  bronze-copier verify --config config.yaml
  bronze-copier verify --config config.yaml --level rows --subset 1/10
  bronze-copier verify s3://bucket/bronze --chain --json
"""
EXIT_STATUS = """\
  0  every chain holds, and nothing that is wanted is missing
  1  a chain does not hold, is incomplete, is not there at all, or cannot be read; the last lines say what and why
  2  the configuration or the command line is wrong
  3  an audit at a level could not check something (unreachable, denied, interrupted); what it checked holds
"""


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a number above 0")
    return int(text)


OPTIONS: tuple[click.Parameter, ...] = (
    argument("url", metavar="[URL]", required=False, default=""),
    *CONFIG_OPTIONS,
    option("--level", default="", choices=_LEVELS, help="how deep to check (default files)"),
    option("--from", name="first", convert=whole_number, metavar="LEDGER", help="only partitions from this ledger on"),
    option("--to", name="last", convert=whole_number, metavar="LEDGER", help="only partitions up to this ledger"),
    option(
        "--subset", default="", metavar="K/N|P%", help="look into the K-th of N parts, or a percentage: always the same"
    ),
    option("--workers", convert=_positive, default=1, metavar="N", help="partitions at once (default 1)"),
    option(
        "--chain",
        is_flag=False,
        flag_value="",
        metavar="[URL]",
        help="check the audit events too, those there or as configured",
    ),
    option("--expect-head", default="", metavar="HASH", help="an event hash known from elsewhere"),
    option("--expect-events", convert=whole_number, metavar="N", help="the chain has so many events, or more"),
    flag("--catalog", help="compare the configured catalog too"),
    option("--lake", default="", metavar="URL", help="the lake that --level source compares with"),
    option("--passphrase", default="", metavar="TEXT", help="of a network whose name does not tell it"),
    option("--endpoint", metavar="URL", help="of the object store of URL"),
    option("--region", metavar="NAME", help="of the bucket of URL"),
    flag("--anonymous", help="send no credentials"),
    flag("--json", name="as_json", help="print one JSON document"),
)


def _request(options: Options) -> AuditRequest:
    given = {field.name: getattr(options, field.name) for field in fields(AuditRequest) if field.name != "eras"}
    return AuditRequest(eras=tuple(chosen_eras(options)), **given)


def run(options: Options) -> int:
    """Verify the chain of each era, or audit at a level, and print what was found."""
    request = _request(options)
    if request.is_asked_for:
        return audit(request, lambda needs_lake: load_settings(options, needs_lake=needs_lake))
    settings = load_settings(options, needs_lake=False)
    from bronze.verify.verification import Verdict
    from bronze.verify.verifier import verify_chain
    from pipeline.commands.output import print_lines
    from pipeline.commands.text import verification_lines
    from pipeline.launch.prepare import connect_without_lake

    with connect_without_lake(settings, chosen_eras(options), writes=False) as connections:
        dataset = connections.dataset()
        verifications = [
            verify_chain(era, dataset, log=connections.event_log(era), checkpoint=connections.checkpoint(era))
            for era in connections.job.eras
        ]
    print_lines(line for verification in verifications for line in verification_lines(verification))
    return DONE if all(verification.verdict is Verdict.HOLDS for verification in verifications) else UNDONE
