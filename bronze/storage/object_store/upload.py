"""A large object on its way into a bucket: in parts to a temporary key, checked, then copied to its own.

An object store writes in parts without asking any condition, and with a condition only in one piece. So the object is
written in parts under a temporary key that nobody else has; copying it, which the service does by itself, is
create-only.

What lies at the temporary key is compared with what was written before it is copied: by the checksum that the service
states of it, else by its ETag where that is made of MD5 checksums, else by reading it once more.

One upload keeps at most `_CONCURRENCY` parts on their way and one that fills, 40 MiB, in memory.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import obstore

from bronze.errors import (
    AccessDeniedError,
    BronzeError,
    ConfigError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreError,
)
from bronze.storage.object_store.checksums import ObjectChecksums
from bronze.storage.object_store.clients import PART
from bronze.storage.object_store.errors import attempts, call
from bronze.storage.object_store.reader import LARGEST

if TYPE_CHECKING:
    from obstore import WritableFile

    from bronze.storage.object_store.store import ObjectStore

_LOG = logging.getLogger(__name__)
_CONCURRENCY = 4
#: Bytes handed to the client at once: a limit on bandwidth is kept within a second or so.
_PIECE = 1 << 20
#: Pieces below this are put together first, which copies them; larger ones the client takes as they lie.
_SMALL = 32 << 10


@dataclass(frozen=True, slots=True)
class WrittenContent:
    """What was written.

    Attributes:
        checksum: the one that the service may state.
        e_tags: what the object's ETag is when the service makes it from MD5 checksums: of the whole object, or of its
            parts. Services that encrypt have others, which say nothing. Empty when they were not computed.
    """

    size: int
    sha256: bytes
    checksum: int
    e_tags: frozenset[str]


class _Hashes:
    """Follows the bytes as they are written; MD5 only where no `checksums` are stated."""

    def __init__(self, checksums: ObjectChecksums, *, caller_hashes: bool) -> None:
        self.size = 0
        self._checksums = checksums
        self._checksum = 0
        # SHA-256 costs more than all the rest of an upload, and who writes has often computed it.
        self._sha256 = None if caller_hashes else hashlib.sha256()
        self._parts = None if checksums.are_stated else _PartHashes()

    def update(self, data: memoryview) -> None:
        self._checksum = self._checksums.extend(self._checksum, data)
        for hashes in (self._sha256, self._parts):
            if hashes is not None:
                hashes.update(data)
        self.size += len(data)

    def content(self, checksum: str) -> WrittenContent:
        """What was written; `checksum` as of `bronze.storage.store.Upload.publish`."""
        if self._sha256 is not None:
            sha256 = self._sha256.digest()
        else:
            sha256 = bytes.fromhex(checksum.removeprefix("sha256:"))
            if len(sha256) != hashlib.sha256().digest_size:
                raise ValueError(f"an upload that is hashed by its writer needs a SHA-256 checksum, not {checksum!r}")
        e_tags = self._parts.e_tags() if self._parts is not None else frozenset[str]()
        return WrittenContent(self.size, sha256, self._checksum, e_tags)


class _PartHashes:
    """MD5 checksums of the parts that an upload is cut into."""

    def __init__(self) -> None:
        self._size = 0
        self._part = hashlib.md5(usedforsecurity=False)
        self._parts: list[bytes] = []

    def update(self, data: memoryview) -> None:
        while len(data):
            taken = data[: PART - self._size % PART]
            self._part.update(taken)
            self._size += len(taken)
            data = data[len(taken) :]
            if self._size % PART == 0:
                self._parts.append(self._part.digest())
                self._part = hashlib.md5(usedforsecurity=False)

    def e_tags(self) -> frozenset[str]:
        """What services make of them."""
        parts = [*self._parts, self._part.digest()] if self._size % PART or not self._size else self._parts
        of_parts = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
        e_tags = {f"{of_parts}-{len(parts)}"} | ({parts[0].hex()} if len(parts) == 1 else set())
        # A copy is made as an upload of one part, the whole object.
        if len(parts) == 1:
            e_tags.add(f"{hashlib.md5(parts[0], usedforsecurity=False).hexdigest()}-1")
        return frozenset(e_tags)


class ObjectUpload:
    """An upload in parts on its way to `key`; see `bronze.storage.store.Upload`. For one thread at a time."""

    def __init__(self, store: ObjectStore, key: str, *, caller_hashes: bool = False) -> None:
        self._store, self._key = store, key
        self._temporary = store.temporary_key(key.rsplit("/", 1)[-1])
        self._where = f"{store.url}/{key}"
        self._hashes = _Hashes(store.checksums, caller_hashes=caller_hashes)
        self._gathered = bytearray()
        self._content: WrittenContent | None = None
        self._completing = self._copy_failed = self._published = False
        self._writer: WritableFile | None = obstore.open_writer(
            store.clients.bulk_upload, store.path(self._temporary), buffer_size=PART, max_concurrency=_CONCURRENCY
        )

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `bronze.storage.store.Upload`.

        Small pieces are sent with the next ones, or by `publish`; so their errors come then.

        Raises:
            ObjectTooLargeError: more bytes than the store publishes at once. The upload can only be given up then, as
                after every error.
        """
        self._live()
        view = memoryview(data).cast("B")
        if len(view) < _SMALL:
            self._gathered += view
            if len(self._gathered) >= _SMALL:
                self._flush()
        else:
            self._flush()
            # The client reads it later, when the caller may have changed what is writable.
            kept = view if view.readonly else memoryview(bytes(view))
            for start in range(0, len(kept), _PIECE):
                self._write_piece(kept[start : start + _PIECE])
        return len(view)

    def _live(self) -> WritableFile:
        if self._writer is None:
            raise ValueError(f"the upload of {self._where} has ended")
        return self._writer

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        if gathered:
            self._write_piece(memoryview(gathered))

    def _write_piece(self, piece: memoryview) -> None:
        writer = self._live()
        largest = self._store.clients.largest
        # After an error the client would go on as if nothing were missing, and complete an object with a hole.
        self._writer = None
        if self._hashes.size + len(piece) > largest:
            raise ObjectTooLargeError(
                f"{self._where}: more than {largest} bytes cannot be published as one object here; choose a smaller"
                " partition_size"
            )
        self._store.upload_bandwidth.acquire(len(piece))
        call(self._where, lambda: writer.write(piece))
        self._hashes.update(piece)
        self._writer = writer

    def publish(self, *, replace: bool = False, checksum: str = "") -> None:
        """See `bronze.storage.store.Upload`; after an error in copying it may be called again.

        Raises:
            ObjectTooLargeError: as of `write`.
            StoreError: what lies there may be the whole object or nothing, never a part or a mixture.
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
            self._store.delete(self._temporary)
        except BronzeError as error:  # it is published all the same, and a cleaner takes the rest one day
            _LOG.warning("A temporary object stays: %s", error)

    def _complete(self, checksum: str) -> WrittenContent:
        self._flush()
        writer, self._writer = self._live(), None
        content = self._hashes.content(checksum)
        self._completing = True
        try:
            call(self._where, writer.close)
        except (AccessDeniedError, ConfigError):
            raise
        except StoreError as error:
            # The answer may be lost of what was done.
            if not self._holds(self._temporary, content):
                raise StoreError(f"the upload of {self._where} was not completed: {error}") from None
        else:
            if not self._holds(self._temporary, content):
                raise StoreError(f"{self._where}: what lies at its temporary key differs from what was written")
        return content

    def _copy(self, content: WrittenContent, *, replace: bool) -> None:
        source, target = self._store.path(self._temporary), self._store.path(self._key)
        failure: StoreError | None = None
        for _ in attempts():
            try:
                # Asked for anew each time: it may have to be another client after a while.
                client = self._store.clients.publishing
                call(self._where, functools.partial(obstore.copy, client, source, target, overwrite=replace))
            except AccessDeniedError:
                raise
            except ObjectExistsError:
                # Another object, unless an earlier attempt of ours did more than we heard of.
                if failure is None or not self._holds(self._key, content):
                    raise
                return
            except StoreError as error:
                failure, self._copy_failed = error, True
                if self._holds(self._key, content):
                    return
            else:
                return
        raise StoreError(f"{self._where} was not published: {failure}")

    def _abort_copies(self) -> None:
        """On S3 a copy is an upload in parts too, which may be left open: a live one of another run is tried again."""
        try:
            self._store.abort(self._key)
        except BronzeError as error:
            _LOG.warning("A copy cut short stays: %s", error)

    def _holds(self, key: str, content: WrittenContent) -> bool:
        """Whether just that content lies at `key`: by its checksum or ETag where they tell, else by reading it."""
        try:
            stated = self._store.checksums.of(self._store.path(key), f"{self._store.url}/{key}")
            if stated.size != content.size:
                return False
            if stated.checksum == content.checksum or stated.e_tag in content.e_tags:
                return True
            # The service's checksum may be of something else, and its ETag often is: the bytes decide.
            sha256 = hashlib.sha256()
            with self._store.open_read(key) as file:
                while data := file.read(LARGEST):
                    sha256.update(data)
            return sha256.digest() == content.sha256
        except ObjectNotFoundError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._published:
            return
        begun = self._hashes.size + _PIECE >= PART
        self._writer = None  # which ends the requests under way
        try:
            if self._completing:
                self._store.delete(self._temporary)
            if begun and self._content is None:
                self._store.abort(self._temporary)
        except BronzeError as failure:  # must not hide why it is given up
            _LOG.warning("An upload given up leaves something behind: %s", failure)
