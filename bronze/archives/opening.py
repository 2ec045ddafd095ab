"""Opening the archive at a URL."""

from __future__ import annotations

from bronze.archives.archive import DEFAULT_RETRY, ArchiveFiles, HistoryArchive
from bronze.archives.url import check_archive_url, is_http
from bronze.retry import RetryPolicy

#: How long one attempt to read a file may take, in seconds; on object stores: one request.
ATTEMPT_SECONDS = 20.0


def open_archive(
    url: str, *, attempt_seconds: float = ATTEMPT_SECONDS, retry: RetryPolicy = DEFAULT_RETRY
) -> HistoryArchive:
    """The archive at `url`; nothing is requested yet.

    Args:
        url: as `check_archive_url` accepts it.
        attempt_seconds: the longest one attempt to read a file may take, whatever arrives.
        retry: attempts for one file, and the waits between them.

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
    return HistoryArchive(url, files, retry)
