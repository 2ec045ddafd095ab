"""Reads what the report shows beside its audits, and says where its page must not lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bronze.errors import ConfigError
from bronze.verify.era_audit import EraAudit
from pipeline.launch.audit import AuditTarget
from pipeline.report.facts import EraFacts, read_facts


def read_all_facts(targets: Sequence[AuditTarget], audits: Sequence[EraAudit]) -> list[EraFacts]:
    """The facts of each era that was audited; `audits` are those of `targets`, in their order."""
    return [
        read_facts(audit, target.era, target.open_dataset(), knows_range=target.knows_range)
        for target, audit in zip(targets, audits, strict=True)
    ]


def check_page_place(path: Path, targets: Sequence[AuditTarget]) -> None:
    """Check that a page at `path` lies beside nothing that is published: a file there would belong to no partition.

    Raises:
        ConfigError: it does.
    """
    folder = path.absolute().parent
    for target in targets:
        for location in (target.location, target.events):
            if location is not None and location.scheme == "local":
                root = Path(location.path).resolve()
                if folder.resolve().is_relative_to(root / target.prefix if location is target.location else root):
                    raise ConfigError(
                        f"--out {path} lies in {root}, where nothing but the copier writes: choose another"
                    )
