"""History archives: what the network's own archives say of ledgers, as an independent witness of what was copied.

What lives here reads archives (over HTTP, on object stores, in directories), which nobody here trusts: bounded in time
and bytes, checked in form. Partitions, chains and their events are not known here.

Begin at `open_archive`, then `HistoryArchive`; paths and names are in `checkpoint_files`.
"""

from bronze.archives.archive import ArchiveHistory, HistoryArchive
from bronze.archives.opening import open_archive
from bronze.archives.url import check_archive_url

__all__ = ["ArchiveHistory", "HistoryArchive", "check_archive_url", "open_archive"]
