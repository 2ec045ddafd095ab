"""Opening the archive at a URL, and what asks it in the background: one for each chain, run and process."""

from __future__ import annotations

import os
import threading

from bronze.archives.archive import DEFAULT_RETRY, ArchiveFiles, HistoryArchive
from bronze.archives.comparison import ArchiveComparison
from bronze.archives.url import check_archive_url, is_http
from bronze.archives.witness import Witness
from bronze.retry import RetryPolicy

#: How long one attempt to read a file may take, in seconds; on object stores: one request.
ATTEMPT_SECONDS = 20.0
#: Files in a row that an audit may fail to read before it asks an archive for no more.
AUDIT_FAILURES = 3

#: The process id is part of the key: a forked process has none of its parent's threads.
_WITNESSES: dict[tuple[str, str, str | None, str, int], Witness] = {}
_MAX_WITNESSES = 256
_LOCK = threading.Lock()


def open_archive(
    url: str,
    *,
    attempt_seconds: float = ATTEMPT_SECONDS,
    retry: RetryPolicy = DEFAULT_RETRY,
    give_up_after: int | None = None,
) -> HistoryArchive:
    """The archive at `url`; nothing is requested yet.

    Args:
        url: as `check_archive_url` accepts it.
        attempt_seconds: the longest one attempt to read a file may take, whatever arrives.
        retry: attempts for one file, and the waits between them.
        give_up_after: as for `HistoryArchive`.

    Raises:
        ConfigError: it is not such a URL.
    """
    # Both are imported late: reading the settings needs neither the HTTP client nor an object store's.
    url = check_archive_url(url)
    files: ArchiveFiles
    if is_http(url):
        from bronze.archives.http_files import HttpFiles

        files = HttpFiles(url, attempt_seconds)
    else:
        from bronze.archives.store_files import StoreFiles

        files = StoreFiles(url, attempt_seconds)
    return HistoryArchive(url, files, retry, give_up_after=give_up_after)


def open_witness(url: str, chain: str, passphrase: str | None, run_id: str) -> Witness:
    """What asks the archive at `url` about `chain` in a run; one in each process, shared by its threads.

    It remembers that an archive was slow or failed, so that each wave of a run does not wait for it anew.

    Args:
        passphrase: that the archive's network must have, where it states one; None: it is not known.

    Raises:
        ConfigError: `url` is not the URL of an archive.
    """
    key = (url, chain, passphrase, run_id, os.getpid())
    with _LOCK:
        if key not in _WITNESSES:
            for oldest in list(_WITNESSES)[: max(0, len(_WITNESSES) + 1 - _MAX_WITNESSES)]:  # of runs that ended
                del _WITNESSES[oldest]
            _WITNESSES[key] = Witness(ArchiveComparison(open_archive(url), passphrase))
        return _WITNESSES[key]
