"""Fixtures: `chromium` (one browser for all tests), `show` (opens a page in it); `made_facts` makes eras to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bronze.authenticity.findings import PartitionAuthenticity, node_name
from bronze.dataset.manifest import Manifest
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.verify import EraAudit, Finding, Level, PartitionReport, Severity
from pipeline.report.facts import EraFacts, ProtocolSpan
from tests.support.browser import Browser, browser, find_browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium (apt-get install chromium)")
    with browser(program) as found:
        yield found


@pytest.fixture
def show(chromium: Browser, tmp_path: Path) -> Callable[[str], Browser]:
    """Opens a page; what it asked for and complained of is counted from there."""

    def open_page(page: str) -> Browser:
        path = tmp_path / "report.html"
        path.write_text(page, encoding="utf-8")
        chromium.look(1280)
        chromium.requests.clear()
        chromium.complaints.clear()
        chromium.open(path)
        return chromium

    return open_page


def manifest(partition: Partition, *, chain: str = "pubnet/e1/v1", **changes: Any) -> Manifest:
    network, era_id, version_label = chain.split("/")
    hour = partition.start // 10 % 24
    values: dict[str, Any] = {
        "partition": partition,
        "network": network,
        "era_id": era_id,
        "version_label": version_label,
        "table": "ledgers_lcm_raw",
        "checksum": f"sha256:{partition.start:064x}",
        "row_count": partition.ledger_count,
        "byte_size": partition.ledger_count * (1000 + partition.start // 1000),
        "producer": Producer("bronze-copier", "v2.0.0", "abc"),
        "created_at": f"2026-01-{1 + partition.start // 3_000_000:02}T{hour:02}:00:00Z",
        "ledgers": None,
        "authenticity": PartitionAuthenticity(
            network_id="0" * 64,
            signatures=partition.ledger_count,
            signers=tuple((node_name(bytes([number]) * 32), partition.end) for number in range(5)),
        ),
    }
    return Manifest(**{**values, **changes})


def made_facts(
    published: Sequence[Partition],
    *,
    gaps: Sequence[Partition] = (),
    findings: Sequence[Finding] = (),
    chain: str = "pubnet/e1/v1",
    partition_size: int = 10,
    **changes: Any,
) -> EraFacts:
    """An era whose audit found `findings`."""
    missing = [finding(str(gap), f"gap: ledgers {gap} have no partition", severity=Severity.MISSING) for gap in gaps]
    reports = [
        PartitionReport(
            chain=chain, partition=one, level=Level.MANIFESTS, rows=one.ledger_count, byte_size=one.ledger_count * 1000
        )
        for one in published
    ]
    audit = EraAudit(
        chain=chain,
        url=f"s3://bucket/bronze/{chain}/ledgers_lcm_raw",
        level=Level.MANIFESTS,
        reports=reports,
        gaps=list(gaps),
        findings=[*missing, *findings],
        checked=["at the level manifests: all partitions"],
        not_checked=["the rows (--level rows)"],
        events=len(published),
        head=f"sha256:{'ab' * 32}",
    )
    values: dict[str, Any] = {
        "ledger_start": published[0].start if published else 2,
        "ledger_end": None,
        "manifests": tuple(manifest(one, chain=chain) for one in published),
        "protocols": (ProtocolSpan(version=22, first=2, last=31), ProtocolSpan(version=23, first=22, last=91)),
        "protocol_files": 4,
    }
    return EraFacts(audit=audit, partition_size=partition_size, **{**values, **changes})


def finding(partition: str, found: str, *, severity: Severity = Severity.WRONG, **changes: Any) -> Finding:
    values = {"level": "manifests", "chain": "pubnet/e1/v1", "object": "s3://bucket/object"}
    return Finding(severity=severity, partition=partition, found=found, **{**values, **changes})


def grid(count: int, *, size: int = 10, start: int = 2) -> list[Partition]:
    return [Partition(start + at * size, start + at * size + size - 1) for at in range(count)]
