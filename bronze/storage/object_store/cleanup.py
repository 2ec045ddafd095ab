"""Removal of what dead runs left: temporary objects and multipart uploads that were never completed.

Services keep the parts of such uploads, and bill them, until somebody aborts the upload. What this does not reach (the
credentials may not allow it, or a copy to a final key was cut short) is left to a lifecycle rule of the bucket that
aborts incomplete uploads after some days.
"""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from bronze.errors import BronzeError
from bronze.storage.object_store.bucket import created_at
from bronze.storage.store import TEMPORARY, join

if TYPE_CHECKING:
    from bronze.storage.object_store.bucket import Bucket

_LOG = logging.getLogger(__name__)
#: Nothing older belongs to a live run.
_MIN_AGE = timedelta(days=1)
#: Keys of our own unfinished uploads: a large object being uploaded, and its copy to its final key.
_OWN_KEY = re.compile(rf"^{TEMPORARY}/|(^|/)range=\d+-\d+/part-[^/]+$")


def remove_leftovers(bucket: Bucket) -> list[str]:
    """Remove temporary objects, and abort multipart uploads of this program, that are older than a day.

    A younger one may belong to a live run. Where unfinished uploads cannot be listed with these credentials, they stay,
    with a warning.

    Returns:
        The keys of both.
    """
    prefix = bucket.location.prefix
    start = len(prefix) + 1 if prefix else 0
    newest = bucket.clock() - _MIN_AGE.total_seconds()
    listed = [
        (found.path[start:], found.modified) for page in bucket.list_pages(join(prefix, TEMPORARY)) for found in page
    ]
    removed = [key for key, modified in listed if created_at(key, modified) < newest]
    for key in removed:
        bucket.delete(key)
    try:
        for upload in bucket.service.list_multipart_uploads(f"{prefix}/" if prefix else ""):
            key = upload.path[start:]
            if _OWN_KEY.search(key) and created_at(key, upload.begun) < newest:
                bucket.service.abort_multipart_upload(upload)
                removed.append(key)
    except BronzeError as error:
        _LOG.warning("Unfinished uploads stay: %s", error)
    return removed
