"""Renders the report: shapes facts and results into what the template shows, as text."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bronze.dataset.manifest import Manifest
from bronze.redact import printable
from bronze.timestamps import seconds_of
from pipeline.report.charts import Chart, area_path
from pipeline.report.coverage import CellKind, coverage_cells, coverage_rows
from pipeline.report.facts import EraFacts
from pipeline.report.results import ShownFinding, ShownResult
from pipeline.sizes import format_size

#: What is listed of each kind before the rest is only counted: the page has to stay small.
_LIMITS = {"max_findings": 50, "max_gaps": 20, "max_signers": 50, "max_producers": 10}
#: Maps with more cells have smaller ones.
_DENSE = 600
#: Maps with no more cells than this have larger ones.
_SPARSE = 60
#: What is worst first.
_VERDICTS = (
    "DOES NOT HOLD", "NOTHING TO VERIFY", "INCOMPLETE", "INTERRUPTED", "COULD NOT BE CHECKED", "HOLDS"
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A node that signed, by the manifests."""

    node: str
    partitions: int
    last: int


def render_page(
    facts: Sequence[EraFacts],
    results: Sequence[ShownResult],
    *,
    place: str,
    version: str,
    standing: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The page as HTML.

    Args:
        facts: of the eras, in the order in which they are shown.
        results: of this report's own audits, and of others.
        place: what the page is about: a URL, or the path of a configuration.
        version: of this program.
        standing: by chain, who stands behind it besides the nodes that signed, a sentence each; chains of which nothing
            is known are left out.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(_LIMITS, verdict_class=verdict_class)
    chains = {one.audit.chain for one in facts}
    eras = [
        {
            **_era(one, [result for result in results if result.chain == one.audit.chain]),
            "standing": (standing or {}).get(one.audit.chain, ()),
        }
        for one in facts
    ]
    verdict = _worst([era["verdict"] for era in eras])
    page = {
        "place": place,
        "made_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "version": version,
        "verdict": verdict,
        "verdict_class": verdict_class(verdict),
        "summary": _summary(facts),
        "eras": eras,
        "other_results": [result for result in results if result.chain not in chains],
    }
    return environment.get_template("page.html.j2").render(page=page)


def _printable(value: Any) -> Any:
    """Text of others without what changes how the text around it is shown, such as marks of the writing direction."""
    return printable(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


def verdict_class(verdict: str) -> str:
    """The class that colours a verdict."""
    return {"HOLDS": "holds", "DOES NOT HOLD": "bad", "NOTHING TO VERIFY": "bad"}.get(verdict, "partly")


def _worst(verdicts: Sequence[str]) -> str:
    known = [verdict for verdict in _VERDICTS if verdict in verdicts]
    return known[0] if known else "NOTHING TO VERIFY"


def _summary(facts: Sequence[EraFacts]) -> str:
    partitions, rows, size = (
        sum(getattr(one.audit, name) for one in facts) for name in ("partitions", "rows", "bytes")
    )
    eras = f"{len(facts)} era{'s' if len(facts) != 1 else ''}"
    return f"{eras}, {partitions:,} partitions, {rows:,} ledgers, {format_size(size)}"


def _era(facts: EraFacts, results: Sequence[ShownResult]) -> dict[str, Any]:
    audit = facts.audit
    published = [report.partition for report in audit.reports]
    ranges: dict[str, set[Any]] = {"wrong": set(), "note": set()}
    for finding in itertools.chain.from_iterable(result.findings for result in results):
        if finding.severity == "wrong" or (finding.severity == "note" and finding.level == "manifests"):
            ranges[finding.severity].add(finding.range)
    cells = coverage_cells(published, audit.gaps, ranges["wrong"], ranges["note"], facts.partition_size)
    counts = Counter[CellKind]()
    for cell in cells:
        counts[cell.kind] += cell.partitions
    signers, signed = _signed(facts.manifests)
    verdict = _worst([result.verdict for result in results])
    dates = {when for when, _ in _dated(facts.manifests)}
    return {
        "chain": audit.chain,
        "url": audit.url,
        "verdict": verdict,
        "verdict_class": verdict_class(verdict),
        "partitions": f"{audit.partitions:,}",
        "ledgers": f"{audit.rows:,}",
        "size": format_size(audit.bytes),
        "reach": f"{audit.first:,} to {audit.last:,}" if audit.first is not None else "nothing",
        "asked": _asked(facts),
        "missing": f"{sum(gap.ledger_count for gap in audit.gaps):,}",
        "rows": coverage_rows(cells),
        "density": "dense" if len(cells) > _DENSE else "sparse" if len(cells) <= _SPARSE else "",
        "legend": [(kind.value, kind.words, counts[kind]) for kind in CellKind],
        "map_label": "coverage: " + ", ".join(f"{counts[kind]:,} {kind.words}" for kind in CellKind),
        "gaps": audit.gaps,
        "charts": _charts(facts.manifests),
        "only_date": _date(dates.pop()) if len(dates) == 1 else "",
        "protocols": facts.protocols,
        "protocol_files": facts.protocol_files,
        "chains": _chains(results),
        "results": _without_repetition(results),
        "signers": signers,
        "signed": signed,
        "producers": Counter(f"{one.producer.name} {one.producer.version}" for one in facts.manifests).most_common(),
    }


def _chains(results: Sequence[ShownResult]) -> list[dict[str, Any]]:
    """What is known of the chain of events: one entry for all results that say the same."""
    found: dict[tuple[int, str], list[str]] = {}
    for result in results:
        if result.events is not None:
            found.setdefault((result.events, result.head), []).append(result.source)
    return [{"events": events, "head": head, "sources": sources} for (events, head), sources in found.items()]


def _without_repetition(results: Sequence[ShownResult]) -> list[dict[str, Any]]:
    """The results, each with those of its findings that none before it has."""
    seen = set[ShownFinding]()
    shown = []
    for result in results:
        new = [finding for finding in result.findings if finding not in seen]
        seen.update(new)
        shown.append({"result": result, "findings": new, "repeated": len(result.findings) - len(new)})
    return shown


def _asked(facts: EraFacts) -> str:
    if facts.ledger_start is None:
        return "not known without a configuration"
    return f"{facts.ledger_start:,} to " + (f"{facts.ledger_end:,}" if facts.ledger_end else "the newest")


def _signed(manifests: Sequence[Manifest]) -> tuple[list[Signer], str]:
    stated = [one.authenticity for one in manifests if one.authenticity is not None]
    partitions, last = Counter[str](), dict[str, int]()
    for authenticity in stated:
        for node, ledger in authenticity.signers or ():
            partitions[node] += 1
            last[node] = max(ledger, last.get(node, 0))
    signers = [Signer(node=node, partitions=count, last=last[node]) for node, count in partitions.most_common()]
    if not stated:
        return signers, ""
    total = Counter[str]()
    for authenticity in stated:
        total.update(authenticity.counts())
    silent = len(manifests) - len(stated)
    return signers, (
        f"Of {sum(one.row_count for one in manifests):,} ledgers {total['signatures']:,} had a signature that held, and"
        f" {total['failed_signatures']:,} one that did not; {total['transaction_proofs']:,} older ones were proven by a"
        f" transaction, {total['unproven']:,} were not proven."
        + (f" {silent:,} manifests say nothing of it." if silent else "")
    )


def _charts(manifests: Sequence[Manifest]) -> list[Chart]:
    if not manifests:
        return []
    found = [
        Chart(
            title="Bytes of a ledger in the parquet files, by ledger",
            top=format_size(max(one.byte_size / max(1, one.row_count) for one in manifests)),
            left=f"{manifests[0].partition.start:,}",
            right=f"{manifests[-1].partition.end:,}",
            path=area_path([(one.partition.start, one.byte_size / max(1, one.row_count)) for one in manifests]),
        )
    ]
    dated = _dated(manifests)
    if len({when for when, _ in dated}) > 1:
        spread = dated[0][0], dated[-1][0]
        for title, values, show in (
            ("Ledgers published, by date", [one.row_count for _, one in dated], lambda total: f"{total:,}"),
            ("Size published, by date", [one.byte_size for _, one in dated], format_size),
        ):
            totals = list(itertools.accumulate(values))
            found.append(
                Chart(
                    title=title,
                    top=show(totals[-1]),
                    left=_date(dated[0][0], *spread),
                    right=_date(dated[-1][0], *spread),
                    path=area_path([(when, total) for (when, _), total in zip(dated, totals, strict=True)]),
                )
            )
    return found


def _dated(manifests: Sequence[Manifest]) -> list[tuple[float, Manifest]]:
    """The manifests that state when they were made, the oldest first."""
    found = ((seconds_of(one.created_at), one) for one in manifests)
    return sorted(((when, one) for when, one in found if when is not None), key=lambda pair: pair[0])


def _date(when: float, first: float = 0.0, last: float = 3600.0) -> str:
    """The time; with seconds where less than an hour lies between `first` and `last`."""
    return f"{datetime.fromtimestamp(when, UTC):{'%Y-%m-%d %H:%M:%S' if last - first < 3600 else '%Y-%m-%d %H:%M'}}"
