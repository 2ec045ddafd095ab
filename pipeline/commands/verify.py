"""The command ``bronze-copier verify``: check what was published."""

from __future__ import annotations

from dataclasses import fields

import click

from pipeline.commands.configured import CONFIG_OPTIONS, chosen_eras, load_settings, log_without_settings
from pipeline.commands.options import JSON, Options, argument, flag, option, whole_number
from pipeline.commands.verify_audit import AuditRequest, audit

_LEVELS = ("manifests", "files", "rows", "source")

DESCRIPTION = """\
Checks what was published, trusting nothing and writing nothing. Needs nothing but the URL of a bronze prefix; without a
URL it checks the configured eras, up to the ledgers that they ask for, with their audit events and checkpoints.

  --level manifests  every partition has a manifest, which fits it, its neighbours and the size of its file
          files      the SHA-256, columns, row count and ends of every parquet file as well (the default)
          rows       every row as well: its order, its XDR, its hashes and links, every column against its bytes
          source     the bytes of every row against the lake as well

Ledgers without a partition, files that do not belong there, and what was not checked are named.
"""
EXAMPLES = """\
  bronze-copier verify --config config.yaml
  bronze-copier verify --config config.yaml --level rows --subset 1/10
  bronze-copier verify s3://bucket/bronze --chain s3://bucket/pas --json
  bronze-copier verify /data/bronze --level source --lake s3://lake/pubnet --lake-region us-east-2 --lake-anonymous
  bronze-copier verify s3://bucket/bronze --archives https://history.example.org/001
  bronze-copier verify s3://bucket/bronze --scp https://history.example.org/001 --validators pubnet.cfg
"""
EXIT_STATUS = """\
  0  everything that was asked for holds
  1  something is wrong or missing, or there is nothing to verify
  2  the configuration or the command line is wrong
  3  something could not be checked (unreachable, denied, interrupted); what could be checked holds
"""


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a number above 0")
    return int(text)


#: What is audited, and how; of this command and of ``report``.
AUDIT_OPTIONS: tuple[click.Parameter, ...] = (
    option("--level", default="", choices=_LEVELS, help="how deep to check"),
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
        help="where the audit events are (default: as configured); without a URL they must be configured",
    ),
    option(
        "--expect-head", default="", metavar="HASH", help="an event hash known from elsewhere: must be in the chain"
    ),
    option("--expect-events", convert=whole_number, metavar="N", help="the chain must have so many events, or more"),
    flag("--catalog", help="compare the rows of the configured catalog too"),
    option("--lake", default="", metavar="URL", help="the lake for --level source (default: the configured one)"),
    option("--lake-endpoint", metavar="URL", help="of the object store of --lake (default: as that of URL)"),
    option("--lake-region", metavar="NAME", help="of the bucket of --lake"),
    flag("--lake-anonymous", help="send no credentials to the lake"),
    option(
        "--scp",
        is_flag=False,
        flag_value="",
        metavar="URL",
        help="prove the last ledger of each partition by the SCP messages of this history archive",
    ),
    option(
        "--archives",
        is_flag=False,
        flag_value="",
        metavar="[URL,…]",
        help="compare the last ledger of each partition with these history archives (default: the configured ones)",
    ),
    option(
        "--validators",
        default="",
        metavar="FILE",
        help="with --scp: a stellar-core configuration, whose validators' messages count (default: the configured one)",
    ),
    option("--passphrase", default="", metavar="TEXT", help="of the network, where its name does not tell it"),
    option("--endpoint", metavar="URL", help="of the object store of URL, and of events and lake of that kind"),
    option("--region", metavar="NAME", help="of the bucket of URL"),
    flag("--anonymous", help="send no credentials"),
)
OPTIONS: tuple[click.Parameter, ...] = (
    argument("url", metavar="[URL]", required=False, default=""),
    *CONFIG_OPTIONS,
    *AUDIT_OPTIONS,
    JSON,
)


def _request(options: Options) -> AuditRequest:
    given = {field.name: getattr(options, field.name) for field in fields(AuditRequest) if field.name != "eras"}
    return AuditRequest(eras=tuple(chosen_eras(options)), **given)


def run(options: Options) -> int:
    """Audit, and print what was found."""
    if options.url:
        log_without_settings(options)
    return audit(_request(options), lambda needs_lake: load_settings(options, needs_lake=needs_lake))
