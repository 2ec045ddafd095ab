"""The last ledger of partitions against SCP messages of archives: proven, not to be checked, or another history."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest
from stellar_sdk import Keypair, xdr

from bronze.archives.checkpoint_files import checkpoint_of, file_key
from bronze.archives.opening import open_archive
from bronze.authenticity.quorum import QuorumSet
from bronze.errors import StoreError
from bronze.partitioning.partition import Partition
from bronze.retry import RetryPolicy
from bronze.verify.finding import Level, Severity
from bronze.verify.partition_check import PartitionCheck
from bronze.verify.scp_check import ScpCheck, ScpProof
from pipeline.sample import SampleLedger
from tests.bronze.conftest import GRID, OPTIONS, Workspace, files
from tests.support.scp_archive import entry, network_id, sample_validators, value_of, write_scp_file

NODES = sample_validators()
QUORUM = QuorumSet(threshold=2, nodes=tuple(sorted(node.public_key for node in NODES)), name="sample.example")
PART = GRID[2]  # 22-31


class Archive:
    """An archive with messages for the last ledgers of all partitions."""

    def __init__(self, root: Path, chain: list[SampleLedger]) -> None:
        self.root = root
        self.values = {one.sequence: value_of(one.xdr) for one in chain}
        self.write({one.end: NODES for one in GRID})

    def write(self, by_ledger: dict[int, Sequence[Keypair]], value: xdr.StellarValue | None = None) -> None:
        entries = {n: entry(OPTIONS.passphrase, who, n, value or self.values[n]) for n, who in by_ledger.items()}
        write_scp_file(self.root, checkpoint_of(PART.end), entries)

    @property
    def url(self) -> str:
        return f"file://{self.root}"

    @property
    def file(self) -> Path:
        return self.root / file_key("scp", checkpoint_of(PART.end))


@pytest.fixture
def archive(tmp_path: Path, chain: list[SampleLedger]) -> Archive:
    return Archive(tmp_path / "archive", chain)


def prove(at: Workspace, *urls: str, partition: Partition = PART, quorum: QuorumSet = QUORUM) -> ScpProof:
    report = PartitionCheck(dataset=at.dataset, era=at.era, level=Level.MANIFESTS).check(partition)
    check = ScpCheck(
        dataset=at.dataset,
        era=at.era,
        quorum=quorum,
        network_id=network_id(OPTIONS.passphrase),
        archives=[open_archive(url, retry=RetryPolicy(1, 1)) for url in urls],
    )
    return check.check(report)


def finding(proof: ScpProof) -> tuple[Severity, str]:
    (found,) = proof.findings
    assert proof.through is None
    assert (found.partition, found.ledger, found.level) == (str(PART), PART.end, "scp")
    return found.severity, found.found


def test_every_partition_is_proven(published: Workspace, archive: Archive) -> None:
    before = files(published.data)
    for partition in GRID:  # unsigned ledgers of protocol 12 among them
        assert prove(published, archive.url, partition=partition) == ScpProof(
            partition=str(partition), through=partition.end - 1
        )
    assert files(published.data) == before


def test_messages_without_quorum_prove_nothing(published: Workspace, archive: Archive) -> None:
    archive.write({PART.end: NODES[:1]})
    severity, found = finding(prove(published, archive.url))
    assert severity is Severity.UNCHECKED
    assert f"{archive.url} has valid messages of 1 of 3 validators, which is no quorum" in found
    strangers = QuorumSet(threshold=1, nodes=(Keypair.random().public_key,))
    assert "messages of 0 of 1 validators" in finding(prove(published, archive.url, quorum=strangers))[1]


def test_missing_messages_cannot_be_checked(published: Workspace, archive: Archive) -> None:
    archive.write({PART.end - 1: NODES})
    assert "messages of 0 of 3 validators" in finding(prove(published, archive.url))[1]
    archive.file.unlink()
    severity, found = finding(prove(published, archive.url))
    assert severity is Severity.UNCHECKED
    assert "scp-0000003f.xdr.gz does not exist" in found
    assert found.count(archive.url) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b cut off", "is damaged"),
        (gzip.compress(b"\x80\x00\x00\x08" + bytes(4)), "no whole record"),
        (gzip.compress(b"\x80\x00\x00\x08" + b"\xff" * 8), "record 1 of its SCP messages is damaged"),
        (gzip.compress(bytes(20 << 20)), "decompresses to more than"),
    ],
)
def test_damaged_archive_cannot_be_checked(
    published: Workspace, archive: Archive, content: bytes, message: str
) -> None:
    archive.file.write_bytes(content)
    severity, found = finding(prove(published, archive.url))
    assert severity is Severity.UNCHECKED
    assert message in found
    assert archive.url in found


def test_any_archive_that_proves_is_enough(
    published: Workspace, archive: Archive, tmp_path: Path, chain: list[SampleLedger]
) -> None:
    other = Archive(tmp_path / "other", chain)
    archive.write({PART.end: NODES[:1]})
    assert prove(published, archive.url, f"file://{tmp_path / 'absent'}", other.url).through == PART.end - 1


def test_quorum_for_another_value_is_wrong(published: Workspace, archive: Archive) -> None:
    archive.write({PART.end: NODES}, value=archive.values[PART.end - 1])
    severity, found = finding(prove(published, archive.url))
    assert severity is Severity.WRONG
    assert f"but by {archive.url} a quorum took another" in found
    archive.write({PART.end: NODES[:1]}, value=archive.values[PART.end - 1])  # one node that differs is no quorum
    assert finding(prove(published, archive.url))[0] is Severity.UNCHECKED


def test_row_of_another_ledger_is_wrong(published: Workspace, archive: Archive) -> None:
    path = published.parquet(PART)
    path.write_bytes(published.parquet(GRID[3]).read_bytes())
    severity, found = finding(prove(published, archive.url))
    assert severity is Severity.WRONG
    assert "has no row of ledger 31" in found


def test_missing_parquet_file_is_wrong(published: Workspace, archive: Archive) -> None:
    published.parquet(PART).unlink()
    severity, found = finding(prove(published, archive.url))
    assert severity is Severity.WRONG
    assert "its last row cannot be read" in found


def test_unreadable_parquet_file_cannot_be_checked(
    published: Workspace, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, key: str) -> None:
        raise StoreError("the server does not answer")

    monkeypatch.setattr(type(published.dataset.store), "open_read", refuse)
    severity, found = finding(prove(published, archive.url))
    assert severity is Severity.UNCHECKED
    assert "the server does not answer" in found


def test_manifest_with_another_hash_is_wrong(published: Workspace, archive: Archive) -> None:
    path, last = published.manifest(PART), published.dataset.find_manifest(published.era, PART)
    assert last is not None
    assert last.ledgers is not None
    path.write_text(path.read_text().replace(last.ledgers.last_hash, "ab" * 32))
    severity, found = finding(prove(published, archive.url))
    assert severity is Severity.WRONG
    assert found == f"its last row has the hash {last.ledgers.last_hash}"
