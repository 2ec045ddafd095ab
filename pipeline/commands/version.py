"""What ``--version`` prints, and the option itself."""

from __future__ import annotations

import click

from bronze.producer import pyarrow_version, this_producer
from bronze.xdr.table import STELLAR_SDK
from pipeline.commands.options import flag
from pipeline.commands.output import print_lines


def version_text() -> str:
    """What ``--version`` prints: version, commit, and the versions that decide the bytes of the output."""
    producer = this_producer()
    return "\n".join(
        [
            f"bronze-copier {producer.version} ({producer.git_sha})",
            f"pyarrow {pyarrow_version()}",
            f"reader table of stellar-sdk {STELLAR_SDK}",
            "verification full, unless configured otherwise",
        ]
    )


def _print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        print_lines(version_text().splitlines())
        context.exit()


VERSION = flag(
    "-version",
    "--version",
    help="print the version and end",
    is_eager=True,
    expose_value=False,
    callback=_print_version,
)
