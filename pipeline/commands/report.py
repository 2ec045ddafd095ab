"""The command ``bronze-copier report``: one page that shows what is published and what was checked of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from pipeline.commands.configured import CONFIG_OPTIONS, chosen_eras, load_settings, log_without_settings
from pipeline.commands.options import Options, argument, option
from pipeline.commands.verify import AUDIT_OPTIONS
from pipeline.commands.verify_audit import AuditRequest
from pipeline.exit_status import DONE, UNCHECKED, UNDONE

if TYPE_CHECKING:
    from pipeline.launch.audit import AuditTarget
    from pipeline.settings.model import Settings

DESCRIPTION = """\
Writes one HTML page for people: which partitions exist, are missing or failed, sizes and ledgers over time, protocol
versions, the chain of audit events with its head, what was verified, who signed by the manifests, and what was not
checked. The page loads nothing and has no script; it can be read on a phone and printed.

Needs nothing but the URL of a bronze prefix, or a configuration. While the page is made, everything is checked as by
bronze-copier verify, at the level manifests unless --level says another; the results of a longer verification are shown
with --verification.
"""
EXAMPLES = """\
  bronze-copier report --config config.yaml --out report.html
  bronze-copier verify s3://bucket/bronze --level rows --json > verify.json
  bronze-copier report s3://bucket/bronze --verification verify.json --out report.html
"""
EXIT_STATUS = """\
  0  the page is written, and everything that it shows as checked holds
  1  the page is written, and shows something that is wrong or missing; or there is nothing to show
  2  the configuration or the command line is wrong
  3  the page is written, and something could not be checked; or nothing could be read, and no page is written
"""
OPTIONS = (
    argument("url", metavar="[URL]", required=False, default=""),
    *CONFIG_OPTIONS,
    option("--out", metavar="FILE", required=True, help="the page; replaced when it exists"),
    option("--verification", metavar="FILE", multiple=True, help="what verify --json printed; may be given again"),
    *AUDIT_OPTIONS,
)


def _configuration(options: Options) -> str:
    """The file of the configuration in words."""
    path = options.config or os.environ.get("CONFIG_FILE")
    return f"the configuration {path}" if path else "the environment"


def _standing(settings: Settings | None, era_ids: Sequence[str]) -> dict[str, list[str]]:
    """By chain, who stands behind it by the validators and the history archives that the settings name."""
    from pipeline.commands.authentic_text import standing_sentences
    from pipeline.launch.status import configured_standing

    if settings is None or not (settings.authenticity.validators or settings.authenticity.archives):
        return {}
    return {one.chain: standing_sentences(one) for one in configured_standing(settings, era_ids)}


def run(options: Options) -> int:
    """Audit, write the page, and return the status of the audit."""
    from pathlib import Path

    from bronze.errors import ConfigError, StoreError
    from bronze.producer import this_producer
    from bronze.redact import redact
    from bronze.verify.era_audit import Verdict
    from pipeline.commands.audit_text import audit_status
    from pipeline.commands.output import check_writable, print_lines, write_atomically
    from pipeline.commands.verify_audit import leave, perform, unreachable
    from pipeline.launch.report import check_page_place, read_all_facts
    from pipeline.report.page import render_page
    from pipeline.report.results import read_results, result_of
    from pipeline.sizes import number_of

    if options.url:
        log_without_settings(options)
    names = {field.name for field in fields(AuditRequest)} - {"eras", "as_json"}
    given = {name: getattr(options, name) for name in names}
    given["level"] = given["level"] or "manifests"
    request = AuditRequest(eras=tuple(chosen_eras(options)), **given)
    out = Path(options.out)

    def begin(targets: Sequence[AuditTarget]) -> None:
        check_page_place(out, targets)
        check_writable("--out", out)

    results = [result for path in options.verification for result in read_results(Path(path))]
    try:
        performed = perform(request, lambda needs_lake: load_settings(options, needs_lake=needs_lake), begin)
    except (StoreError, OSError) as error:
        return unreachable(error, as_json=False)
    own = [result_of(audit, "checked while this page was made") for audit in performed.audits]
    page = render_page(
        read_all_facts(performed.targets, performed.audits),
        [*own, *results],
        place=redact(request.url) if request.url else f"the eras of {_configuration(options)}",
        version=this_producer().version,
        standing=_standing(performed.settings, chosen_eras(options)),
    )
    try:
        write_atomically(out, page)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from error
    print_lines([f"{out}: {len(page.encode()):,} bytes, {number_of(len(performed.audits), 'era')}"])
    status = audit_status(performed.audits)
    others = {result.verdict for result in results}
    if others & {Verdict.DOES_NOT_HOLD, Verdict.INCOMPLETE, Verdict.NOTHING}:
        status = UNDONE
    elif status == DONE and others - {Verdict.HOLDS}:
        status = UNCHECKED
    return leave(status)
