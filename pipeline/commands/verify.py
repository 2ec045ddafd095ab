"""The command ``bronze-copier verify``: check what was published against its chain."""

from __future__ import annotations

import argparse

from pipeline.commands.configured import add_config_arguments, chosen_eras, load_settings
from pipeline.exit_status import DONE, UNDONE

DESCRIPTION = """\
Checks what was published against its chain: the hash, the links and every field of each audit event, the ledger links
between partitions, every manifest, and each parquet file's size, checksum, footer, first and last row; the chain head
and the checkpoint; files that do not belong there. Names the ledgers that have no partition, and says what was not
checked. Needs no lake and no permission to write.
"""
EXIT_STATUS = """\
  0  every chain holds, and nothing that is wanted is missing
  1  a chain does not hold, is incomplete, is not there at all, or cannot be read; the last lines say what and why
  2  the configuration or the command line is wrong
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Verify the chain of each era and print what was found."""
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
