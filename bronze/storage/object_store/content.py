"""What was written to an upload, and whether an object has just that content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bronze.errors import ObjectNotFoundError
from bronze.storage.object_store.provider import PART_SIZE
from bronze.storage.object_store.reader import MAX_RANGE

if TYPE_CHECKING:
    from bronze.storage.object_store.bucket import Bucket
    from bronze.storage.object_store.checksums import ObjectChecksums


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenContent:
    """What was written.

    Attributes:
        checksum: the one that the service may state.
        e_tags: the object's ETag where the service makes it from MD5 checksums: of the whole object, or of its parts.
            Services that encrypt have other ETags, which say nothing. Empty when MD5 was not computed.
    """

    size: int
    sha256: bytes
    checksum: int
    e_tags: frozenset[str]


class ContentHashes:
    """Hashes the bytes as they are written; MD5 only where the service states no `checksums`.

    Args:
        caller_hashes: as of `bronze.storage.store.Store.upload`.
    """

    def __init__(self, checksums: ObjectChecksums, *, caller_hashes: bool) -> None:
        self.size = 0
        self._checksums = checksums
        self._checksum = 0
        # SHA-256 costs more than all the rest of an upload, and the caller has often computed it.
        self._sha256 = None if caller_hashes else hashlib.sha256()
        self._parts = None if checksums.service_states_digests else _PartHashes()

    def update(self, data: memoryview) -> None:
        """Append `data`."""
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
                raise ValueError(f"an upload that its caller hashes needs a SHA-256 checksum, not {checksum!r}")
        e_tags = self._parts.e_tags() if self._parts is not None else frozenset[str]()
        return WrittenContent(size=self.size, sha256=sha256, checksum=self._checksum, e_tags=e_tags)


class _PartHashes:
    """MD5 checksums of the parts that an upload is cut into."""

    def __init__(self) -> None:
        self._size = 0
        self._part = hashlib.md5(usedforsecurity=False)
        self._parts: list[bytes] = []

    def update(self, data: memoryview) -> None:
        while len(data):
            taken = data[: PART_SIZE - self._size % PART_SIZE]
            self._part.update(taken)
            self._size += len(taken)
            data = data[len(taken) :]
            if self._size % PART_SIZE == 0:
                self._parts.append(self._part.digest())
                self._part = hashlib.md5(usedforsecurity=False)

    def e_tags(self) -> frozenset[str]:
        """The ETags that services make from these checksums."""
        parts = [*self._parts, self._part.digest()] if self._size % PART_SIZE or not self._size else self._parts
        of_parts = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
        e_tags = {f"{of_parts}-{len(parts)}"} | ({parts[0].hex()} if len(parts) == 1 else set())
        # A copy is a multipart upload of one part, the whole object.
        if len(parts) == 1:
            e_tags.add(f"{hashlib.md5(parts[0], usedforsecurity=False).hexdigest()}-1")
        return frozenset(e_tags)


def object_equals(bucket: Bucket, key: str, content: WrittenContent) -> bool:
    """Whether there is an object at `key` with just that content.

    Decided by the service's checksum or the ETag where they match, else by reading the object.
    """
    try:
        stated = bucket.checksums.stated(bucket.path(key), bucket.object_url(key))
        if stated.size != content.size:
            return False
        if stated.checksum == content.checksum or stated.e_tag in content.e_tags:
            return True
        # The service's checksum may be of another kind, and its ETag often is: the bytes decide.
        sha256 = hashlib.sha256()
        with bucket.open_read(key) as file:
            while data := file.read(MAX_RANGE):
                sha256.update(data)
        return sha256.digest() == content.sha256
    except ObjectNotFoundError:
        return False
