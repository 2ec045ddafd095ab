"""Audit what one era published, with its chain of events and its checkpoint, trusting nothing.

`verify_chain` is the whole of it. What is not checked is said: `EraAudit.not_checked`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.dataset.dataset import Dataset
from bronze.errors import RunStoppedError, StoreError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.verify.audit import CheckAll, audit_era
from bronze.verify.chain_audit import LEVEL as CHAIN
from bronze.verify.chain_audit import VERIFY_AGAIN, ExpectedChain, audit_chain
from bronze.verify.era_audit import EraAudit
from bronze.verify.event_check import SINGLE_FILE_ERRORS
from bronze.verify.file_check import has_manifest, is_being_replaced
from bronze.verify.finding import FindingCollector, Level, Severity
from bronze.verify.partition_check import PartitionCheck, PartitionReport
from bronze.verify.selection import Selection

#: The level of findings about a checkpoint.
CHECKPOINT = "checkpoint"


def verify_chain(
    era: Era,
    dataset: Dataset,
    *,
    level: Level = Level.FILES,
    log: EventLog | None = None,
    checkpoint: CheckpointFile | None = None,
) -> EraAudit:
    """Verify the published partitions of `era` and its chain; what is wrong is collected, not raised. Writes nothing.

    Args:
        level: how deep; the level ``source`` needs a `PartitionCheck` with a lake, see `verify_published`.
        log: the event files of the era's chain; None: they are not looked at.
        checkpoint: the checkpoint of the era's chain, which says how far gaps are looked for, and how its events end;
            None: it is not looked at.

    Raises:
        StoreError, OSError: the partitions cannot be listed.
        RunStoppedError: the process was asked to stop before.
    """
    return verify_published(PartitionCheck(dataset=dataset, era=era, level=level), log=log, checkpoint=checkpoint)


def check_each(check: PartitionCheck, partitions: Sequence[Partition]) -> Iterator[PartitionReport]:
    """Check one partition after the other."""
    return map(check.check, partitions)


def verify_published(
    check: PartitionCheck,
    *,
    selection: Selection = Selection(),  # noqa: B008 - it is immutable
    check_all: CheckAll = check_each,
    knows_range: bool = True,
    log: EventLog | None = None,
    checkpoint: CheckpointFile | None = None,
    expected: ExpectedChain = ExpectedChain(),  # noqa: B008
) -> EraAudit:
    """Verify what `check` can check, with the chain of events and the checkpoint where these are given.

    Args:
        selection: which partitions are looked into.
        check_all: runs `check` on partitions.
        knows_range: whether the era's own start and end are known; otherwise they are those of what is published.
        log, checkpoint: see `verify_chain`.
        expected: what is known of the chain from elsewhere.

    Raises:
        StoreError, OSError: the partitions cannot be listed.
        RunStoppedError: the process was asked to stop before.
    """
    era = check.era
    unusable: Exception | None = None
    known: Checkpoint | None = None
    try:
        known = checkpoint.load() if checkpoint else None
    except (*SINGLE_FILE_ERRORS, StoreError) as error:
        unusable = error
    reached = known.last_ledger if known else 0
    result = audit_era(check, selection, check_all, has_end=knows_range, reached=reached)
    if checkpoint is not None:
        name = f"{checkpoint.store.url}/{known.name if known else checkpoint.names[0]}"
        findings = FindingCollector(result.findings, era.chain, CHECKPOINT, name)
        if unusable is not None:
            findings.add_failure(unusable, name)
        elif known is not None:
            _check_checkpoint(result, check, checkpoint, known, selection, findings)
        else:
            result.not_checked.append(f"the checkpoint: {checkpoint.store.url} has none of this chain")
    if log is None:
        result.not_checked.append("the audit events: whether what is here is what was announced (--chain)")
    elif result.is_complete:
        # What cannot be reached here hides nothing of what was found before.
        try:
            audit_chain(result, era, check.dataset, log, selection, expected, known)
        except RunStoppedError:
            result.is_complete = False
            result.not_checked.append("the audit events: the audit was interrupted")
        except (StoreError, OSError) as error:
            FindingCollector(result.findings, era.chain, CHAIN, log.where).add_failure(error, log.where)
            result.not_checked.append("the audit events, or some of them: they cannot be read")
    else:
        result.not_checked.append("the audit events: the audit was interrupted")
    return result


def _check_checkpoint(
    result: EraAudit,
    check: PartitionCheck,
    file: CheckpointFile,
    checkpoint: Checkpoint,
    selection: Selection,
    findings: FindingCollector,
) -> None:
    """Check that the partition that the checkpoint names is published, with the checksum that it states."""
    result.checked.append(f"the checkpoint, at ledger {checkpoint.last_ledger}")
    last = None if checkpoint.is_edited else checkpoint.partition
    if last is None and checkpoint.partition is not None:
        findings.note(
            f"the checkpoint of {result.chain} was set by hand to ledger {checkpoint.last_ledger}, the last partition"
            f" that a run committed was {checkpoint.partition}: the next run begins there"
        )
    elif last is not None and not checkpoint.checksum:
        result.not_checked.append(f"the checksum of {last} in the checkpoint, which states none, or none that is one")
    if last is None or not selection.in_range(last) or not result.is_complete:
        return
    report = next((one for one in result.reports if one.partition == last), None)
    if report is not None and (not report.checksum or checkpoint.checksum in ("", report.checksum)):
        return
    # In this order: a run that replaces a partition removes its mark when the manifest is there again.
    if is_being_replaced(check.dataset, check.era, last) or (report is not None and _has_changed(file, checkpoint)):
        findings.add(
            f"the checkpoint of {result.chain} names {last}, which a run is replacing, or replaced meanwhile",
            partition=last,
            severity=Severity.UNCHECKED,
            remedy=VERIFY_AGAIN,
        )
    elif report is not None:
        findings.add(
            f"the checkpoint of {result.chain} says that {last} has the checksum {checkpoint.checksum}",
            partition=last,
            expected=f"{report.checksum}, as its manifest says",
        )
    elif not has_manifest(check.dataset, check.era, last):
        findings.add(
            f"the checkpoint of {result.chain} says that {last} was committed last",
            partition=last,
            expected="a partition that is published",
        )


def _has_changed(file: CheckpointFile, checkpoint: Checkpoint) -> bool:
    """Whether the file says something else than when it was first read."""
    try:
        now = file.load()
        return now != checkpoint or now.checksum != checkpoint.checksum
    except (*SINGLE_FILE_ERRORS, StoreError):
        return True
