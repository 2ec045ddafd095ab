"""Check the files of a partition: the parquet file's footer and ends, and files that do not belong there."""

from __future__ import annotations

from contextlib import closing

from bronze.dataset.dataset import REPLACING_NAME, Dataset, parse_range
from bronze.dataset.manifest import MANIFEST_NAME, LedgerLinks, Manifest, parquet_file_name
from bronze.dataset.parquet import read_footer, read_ledger_links
from bronze.errors import NotAnObjectError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.store import join
from bronze.verify.finding import FindingCollector, remake

#: Files and directories that are looked at in a directory that is none of a partition's.
_MAX_FOREIGN = 1_000


def check_footer(dataset: Dataset, era: Era, manifest: Manifest, findings: FindingCollector) -> LedgerLinks:
    """Check columns, number of rows and both ends of a parquet file against its manifest; return what its rows link.

    Raises:
        ValueError: it is not a parquet file, or lacks columns.
        OSError, StoreError: it cannot be read.
    """
    partition = manifest.partition
    with closing(dataset.store.open_read(dataset.parquet_key(era, partition))) as file:
        footer, links = read_footer(file), read_ledger_links(file)
    for difference in footer.schema_differences:
        findings.add(difference, partition=partition)
    if footer.rows != manifest.row_count:
        findings.add(
            f"has {footer.rows} rows", partition=partition, expected=f"{manifest.row_count}, as its manifest says"
        )
    if (links.first, links.last) != (partition.first_ledger, partition.end):
        findings.add(
            f"begins with ledger {links.first} and ends with ledger {links.last}",
            partition=partition,
            expected=f"{partition.first_ledger} and {partition.end}, as its name says",
        )
    elif manifest.ledgers is not None and manifest.ledgers != links:
        for name, stated in manifest.ledgers.as_json().items():
            if stated != getattr(links, name):
                findings.add(
                    f"says {name} {stated}",
                    where=dataset.object_url(dataset.manifest_key(era, partition)),
                    partition=partition,
                    expected=f"{getattr(links, name)}, as its rows have",
                )
    return links


def check_names(dataset: Dataset, era: Era, findings: FindingCollector) -> None:
    """Check that the table's directory holds partitions only; parquet files that do not belong there are wrong.

    At any depth: what reads a whole directory reads the directories in it too.
    """
    root = join(dataset.prefix, era.chain, dataset.table)
    for entry in dataset.store.list_children(root):
        if not entry.is_prefix:
            _foreign(dataset.object_url(join(root, entry.name)), findings)
    for name, files in dataset.store.list_directories(root):
        # By its name alone: beside a run, what another listing says may be older.
        partition = parse_range(name)
        own = _own_names(partition) if partition else frozenset[str]()
        odd = _odd_names(dataset, join(root, name))
        looked_at = {parquet_file_name(partition)} if partition and MANIFEST_NAME in files else set()
        for file in sorted(odd & own - looked_at):
            findings.add(
                "cannot be read: it is no regular file",
                where=dataset.object_url(join(root, name, file)),
                partition=partition,
                remedy=f"remove it, then: {remake(partition)}" if partition else "",
            )
        for file in sorted({*files, *odd} - own):
            if file.endswith("/"):
                _foreign_directory(dataset, join(root, name, file.rstrip("/")), findings)
            else:
                _foreign(dataset.object_url(join(root, name, file)), findings)


def _odd_names(dataset: Dataset, directory: str) -> frozenset[str]:
    """What lies in a directory and is no file, such as a pipe, at which a query over all files would wait for ever."""
    if dataset.is_remote:
        return frozenset()
    return frozenset(entry.name for entry in dataset.store.list_children(directory) if entry.is_odd)


def is_being_replaced(dataset: Dataset, era: Era, partition: Partition) -> bool:
    """Whether a run replaces the partition, or a killed one had begun to: its manifest may be gone meanwhile."""
    return dataset.store.size(dataset.replacing_key(era, partition)) is not None


def has_manifest(dataset: Dataset, era: Era, partition: Partition) -> bool:
    """Whether the partition is published now: a run may have done that, or replaced it, after the listing.

    Also where something else than a file has the manifest's name, which `check_names` finds.
    """
    try:
        return dataset.store.size(dataset.manifest_key(era, partition)) is not None
    except NotAnObjectError:
        return True


def _own_names(partition: Partition) -> frozenset[str]:
    return frozenset((parquet_file_name(partition), MANIFEST_NAME, REPLACING_NAME))


def _foreign_directory(dataset: Dataset, key: str, findings: FindingCollector) -> None:
    """Add what lies below `key`, a directory that is none of a partition's."""
    left, seen = [key], 0
    while left:
        directory = left.pop()
        for entry in dataset.store.list_children(directory):
            seen += 1
            if seen > _MAX_FOREIGN:
                findings.note(
                    f"holds more than {_MAX_FOREIGN:,} files: not all were looked at", where=dataset.object_url(key)
                )
                return
            at = join(directory, entry.name)
            if entry.is_prefix:
                left.append(at)
            else:
                _foreign(dataset.object_url(at), findings)


def _foreign(url: str, findings: FindingCollector) -> None:
    if url.endswith(".parquet"):
        findings.add(
            "belongs to no partition, but queries over all parquet files read it",
            where=url,
            remedy="remove it, after you found out where it comes from",
        )
    else:
        findings.note("is not a file of this program", where=url)
