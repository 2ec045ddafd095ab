"""The published dataset: where its partitions are, what describes them, and by which rules they are published.

Reads and writes a store, and knows nothing of a lake, a chain or a run. A partition exists when its manifest does.
Begin with `dataset.Dataset` (keys, manifests, listing) and `publication.Publication` (create, replace, conflict).
`bronze.dataset.parquet` (the parquet writer) is not imported here, because it loads pyarrow.
"""

from __future__ import annotations

from bronze.dataset.dataset import Dataset
from bronze.dataset.listing import DatasetListing, list_dataset
from bronze.dataset.manifest import LedgerLinks, Manifest, parquet_file_name, parse_ledger_links, parse_manifest
from bronze.dataset.publication import Publication
from bronze.dataset.published_tables import PublishedTable, find_tables, open_tables
from bronze.dataset.schema import COLUMNS, COMPRESSIONS, PRIMARY_TABLE, Column, schema_text
from bronze.dataset.sink import HashingSink, NullSink, Sink

__all__ = [
    "COLUMNS",
    "COMPRESSIONS",
    "PRIMARY_TABLE",
    "Column",
    "Dataset",
    "DatasetListing",
    "HashingSink",
    "LedgerLinks",
    "Manifest",
    "NullSink",
    "Publication",
    "PublishedTable",
    "Sink",
    "find_tables",
    "list_dataset",
    "open_tables",
    "parquet_file_name",
    "parse_ledger_links",
    "parse_manifest",
    "schema_text",
]
