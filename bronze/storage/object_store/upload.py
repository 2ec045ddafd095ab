"""Upload of a large object: in parts to a temporary key, verified, then copied to its own key by the service.

Services do not support conditions on multipart uploads, only on writes in one request. So the object is uploaded in
parts under a temporary key that nobody else has; the copy, which the service makes by itself, is create-only.

Before the copy, the temporary object is compared with what was written: by the checksum that the service states, else
by its ETag where that is made of MD5 checksums, else by reading it once more.

One upload keeps at most `_CONCURRENCY` parts in flight and one that fills, 40 MiB, in memory.
"""

from __future__ import annotations

import functools
import logging
from types import TracebackType
from typing import TYPE_CHECKING, Self

import obstore

from bronze.errors import (
    AccessDeniedError,
    BronzeError,
    ConfigError,
    ObjectExistsError,
    ObjectTooLargeError,
    StoreError,
)
from bronze.storage.object_store.content import ContentHashes, WrittenContent, object_equals
from bronze.storage.object_store.errors import said_again, translated
from bronze.storage.object_store.provider import PART_SIZE
from bronze.waiting import pause

if TYPE_CHECKING:
    from obstore import WritableFile

    from bronze.storage.object_store.bucket import Bucket

_LOG = logging.getLogger(__name__)
_CONCURRENCY = 4
#: Bytes handed to the client at once, so that a rate limit is kept within a second or so.
_PIECE_SIZE = 1 << 20
#: Smaller pieces are gathered first, which copies them; the client takes larger ones without a copy.
_SMALLEST_PIECE = 32 << 10


class ObjectUpload:
    """An upload in parts to `key`; see `bronze.storage.store.Upload`. For one thread at a time."""

    def __init__(self, bucket: Bucket, key: str, *, caller_hashes: bool = False) -> None:
        self._bucket, self._key = bucket, key
        self._temporary = bucket.temporary_key(key.rsplit("/", 1)[-1])
        self._url = bucket.object_url(key)
        self._hashes = ContentHashes(bucket.checksums, caller_hashes=caller_hashes)
        self._gathered = bytearray()
        self._content: WrittenContent | None = None
        self._completing = self._copy_failed = self._published = False
        self._writer: WritableFile | None = obstore.open_writer(
            bucket.clients.bulk_upload,
            bucket.path(self._temporary),
            buffer_size=PART_SIZE,
            max_concurrency=_CONCURRENCY,
        )

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `bronze.storage.store.Upload`.

        Small pieces are sent with later ones, or by `publish`; so are their errors raised.

        Raises:
            ObjectTooLargeError: more bytes than one object may have. The upload can only be abandoned then, as after
                every error.
        """
        self._open_writer()
        view = memoryview(data).cast("B")
        if len(view) < _SMALLEST_PIECE:
            self._gathered += view
            if len(self._gathered) >= _SMALLEST_PIECE:
                self._flush()
        else:
            self._flush()
            # The client reads it later; until then the caller may have changed a writable buffer.
            kept = view if view.readonly else memoryview(bytes(view))
            for start in range(0, len(kept), _PIECE_SIZE):
                self._write_piece(kept[start : start + _PIECE_SIZE])
        return len(view)

    def _open_writer(self) -> WritableFile:
        if self._writer is None:
            raise ValueError(f"the upload of {self._url} has ended")
        return self._writer

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        if gathered:
            self._write_piece(memoryview(gathered))

    def _write_piece(self, piece: memoryview) -> None:
        writer = self._open_writer()
        largest = self._bucket.largest_object
        # After an error the client would continue as if nothing were missing, and complete an object with a hole.
        self._writer = None
        if self._hashes.size + len(piece) > largest:
            raise ObjectTooLargeError(
                f"{self._url}: more than {largest} bytes cannot be published as one object here; choose a smaller"
                " partition_size"
            )
        self._bucket.upload_limit.acquire(len(piece))
        translated(self._url, lambda: writer.write(piece))
        self._hashes.update(piece)
        self._writer = writer

    def publish(self, *, replace: bool = False, checksum: str = "") -> None:
        """See `bronze.storage.store.Upload`; it may be called again after an error of the copy.

        Raises:
            ObjectTooLargeError: as of `write`.
            StoreError: the object may exist as a whole or not at all, never in part.
        """
        if self._content is None:
            self._content = self._complete(checksum)
        try:
            self._copy(self._content, replace=replace)
        finally:
            if self._copy_failed:
                self._abort_copies()
        self._published = True
        try:
            self._bucket.delete(self._temporary)
        except BronzeError as error:  # it is published all the same; a later cleanup removes the temporary object
            _LOG.warning("A temporary object stays: %s", error)

    def _complete(self, checksum: str) -> WrittenContent:
        self._flush()
        writer, self._writer = self._open_writer(), None
        content = self._hashes.content(checksum)
        self._completing = True
        try:
            translated(self._url, writer.close)
        except (AccessDeniedError, ConfigError):
            raise
        except StoreError as error:
            # It may have been completed, and only the answer was lost.
            if not object_equals(self._bucket, self._temporary, content):
                raise said_again(error, f"the upload of {self._url} was not completed: {error}") from None
        else:
            if not object_equals(self._bucket, self._temporary, content):
                raise StoreError(f"{self._url}: its temporary object differs from what was written")
        return content

    def _copy(self, content: WrittenContent, *, replace: bool) -> None:
        source, target = self._bucket.path(self._temporary), self._bucket.path(self._key)
        failed = False
        for delay in (0.0, *self._bucket.retry.delays()):
            if delay and not pause(delay):
                break
            try:
                # Looked up each time: it may have to be another client after a while.
                client = self._bucket.clients.publishing
                translated(self._url, functools.partial(obstore.copy, client, source, target, overwrite=replace))
            except AccessDeniedError:
                raise
            except ObjectExistsError:
                # Another object, unless an earlier attempt of ours took effect although it failed.
                if not failed or not object_equals(self._bucket, self._key, content):
                    raise
                return
            except StoreError as error:
                failure, failed, self._copy_failed = error, True, True
                if object_equals(self._bucket, self._key, content):
                    return
            else:
                return
        raise said_again(failure, f"{self._url} was not published: {failure}")

    def _abort_copies(self) -> None:
        """Abort what a failed copy left: on S3 a copy is a multipart upload too. Another run's live copy is retried."""
        try:
            self._bucket.abort_uploads(self._key)
        except BronzeError as error:
            _LOG.warning("An unfinished copy stays: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._published:
            return
        begun = self._hashes.size + _PIECE_SIZE >= PART_SIZE
        self._writer = None  # which ends the requests under way
        try:
            if self._completing:
                self._bucket.delete(self._temporary)
            if begun and self._content is None:
                self._bucket.abort_uploads(self._temporary)
        except BronzeError as failure:  # must not hide why the upload is abandoned
            _LOG.warning("An abandoned upload leaves something behind: %s", failure)
