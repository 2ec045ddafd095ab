"""Check the files of a partition: the parquet file's checksum, footer and ends, and files that do not belong there."""

from __future__ import annotations

from contextlib import closing

from bronze.dataset.dataset import REPLACING_NAME, Dataset
from bronze.dataset.manifest import MANIFEST_NAME, LedgerLinks, Manifest, parquet_file_name
from bronze.dataset.parquet import read_footer, read_ledger_links
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.store import join
from bronze.verify.single_file import SINGLE_FILE_ERRORS, problem_of


def check_file(dataset: Dataset, era: Era, manifest: Manifest, problems: list[str]) -> LedgerLinks | None:
    """Check the parquet file against its manifest; return what links it by its rows, None when they cannot be read."""
    key = dataset.parquet_key(era, manifest.partition)
    url = dataset.object_url(key)
    try:
        checksum = dataset.checksum(key)
        if checksum != manifest.checksum:
            problems.append(f"{url} has the checksum {checksum}, its manifest says {manifest.checksum}")
            return manifest.ledgers  # what else is wrong with it follows from that
        with closing(dataset.store.open_read(key)) as file:
            footer, links = read_footer(file), read_ledger_links(file)
    except SINGLE_FILE_ERRORS as error:
        problems.append(problem_of(error, url))
        return manifest.ledgers
    except ValueError as error:
        problems.append(f"{url} cannot be read: {error}")
        return manifest.ledgers
    if footer.rows != manifest.row_count:
        problems.append(f"{url} has {footer.rows} rows, its manifest says {manifest.row_count}")
    problems.extend(f"{url} {difference}" for difference in footer.schema_differences)
    partition = manifest.partition
    if (links.first, links.last) != (partition.first_ledger, partition.end):
        problems.append(
            f"{url} begins with ledger {links.first} and ends with ledger {links.last}, but its partition is"
            f" {partition}"
        )
    elif manifest.ledgers is not None and manifest.ledgers != links:
        differing = {
            name: (value, getattr(links, name))
            for name, value in manifest.ledgers.as_json().items()
            if value != getattr(links, name)
        }
        said = ", ".join(f"{name} {stated}, its rows have {found}" for name, (stated, found) in differing.items())
        problems.append(f"{dataset.object_url(dataset.manifest_key(era, partition))} says {said}")
    return links


def check_names(dataset: Dataset, era: Era, problems: list[str], notes: list[str]) -> None:
    """Check that the table's directory holds partitions only. Parquet files that do not belong there are problems.

    A parquet file without a manifest, and the mark of a replacement, are what a run in progress or a killed one leaves.
    """
    root = join(dataset.prefix, era.chain, dataset.table)
    partitions = set(dataset.list_partitions(era))
    ranges = {f"range={partition}": partition for partition in partitions}
    for entry in dataset.store.list_children(root):
        if not entry.is_prefix:
            _foreign(dataset.object_url(join(root, entry.name)), problems, notes)
    for name, files in dataset.store.list_directories(root):
        own = _own_names(ranges[name]) if name in ranges else frozenset[str]()
        for file in sorted(files - own):
            _foreign(dataset.object_url(join(root, name, file)), problems, notes)
        if name in ranges and parquet_file_name(ranges[name]) in files and MANIFEST_NAME not in files:
            notes.append(f"partition {era.chain} {ranges[name]} has no manifest: the next run finishes or removes it")
        if name in ranges and REPLACING_NAME in files:
            notes.append(f"partition {era.chain} {ranges[name]} is being replaced: the next run completes that")


def _own_names(partition: Partition) -> frozenset[str]:
    return frozenset((parquet_file_name(partition), MANIFEST_NAME, REPLACING_NAME))


def _foreign(url: str, problems: list[str], notes: list[str]) -> None:
    if url.endswith(".parquet"):
        problems.append(f"{url} belongs to no partition, but queries over all parquet files read it: remove it")
    else:
        notes.append(f"{url} is not a file of this program")
