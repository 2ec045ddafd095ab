"""The store in a bucket of S3, of a service like it, or of Google Cloud Storage.

A service answers each request by itself; an answer can be lost although the request took effect, and a request can
take effect late. So whatever is written on a condition is sent once, and what lies there is looked at before it is
sent again: small objects carry a token of their writer, large ones are compared.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import obstore

from bronze.errors import (
    BronzeError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    is_transient,
)
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.checksums import ObjectChecksums
from bronze.storage.object_store.clients import Clients, version_of
from bronze.storage.object_store.errors import ATTEMPTS, attempts, call, pause, repeated
from bronze.storage.object_store.probe import probe
from bronze.storage.object_store.reader import get, open_reader
from bronze.storage.object_store.service import service_of
from bronze.storage.object_store.unfinished import unfinished_uploads
from bronze.storage.object_store.upload import ObjectUpload
from bronze.storage.rate_limit import RateLimiter
from bronze.storage.store import TEMPORARY, Change, ListEntry, checked_key, join

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta, PutMode
    from obstore.store import ObjectStore as Client

_LOG = logging.getLogger(__name__)
#: Of temporary objects and unfinished uploads: nothing older belongs to a live run.
_OLDEST = timedelta(days=1)
#: The end of a temporary object's key.
_STAMP = re.compile(r"\.(\d{8}T\d{6}Z)\.[0-9a-f]{16}$")
#: Keys that an unfinished upload of ours may be at: a large object on its way, and its copy to where it belongs.
_OWN = re.compile(rf"^{TEMPORARY}/|(^|/)range=\d+-\d+/part-[^/]+$")
_STAMP_FORMAT = "%Y%m%dT%H%M%SZ"
#: Characters of an object's name that its temporary key shows.
_NAME_SHOWN = 100
#: Smaller objects are copied: each may be a part of the connection's buffer (8 to 400 KB) and keep all of that.
_KEPT = 64 << 10
#: Objects that one request lists.
_PAGE = 1000
#: The attribute that says who wrote a small object.
_WRITER = "bronze-writer"
#: Times that other writers of an object may come first.
_CONFLICTS = 100


class ObjectStore:
    """Objects below the prefix of a place; see `bronze.storage.store.Store` for what each method promises.

    Safe to share between threads. Beyond the errors of the port, any method raises `AccessDeniedError`, `ConfigError`
    when the bucket does not exist, and `StoreError` for what may pass.

    Args:
        place: in a bucket.
        clock: seconds since 1970.
    """

    supports_locking = False
    is_remote = True
    #: A service does not show whether the writer of a temporary object lives.
    tells_dead_writers = False

    def __init__(self, location: StorageLocation, *, clock: Callable[[], float] = time.time) -> None:
        self.location = location
        self.url = f"{location.scheme}://{join(location.bucket, location.prefix)}"
        self._root = f"{location.prefix}/" if location.prefix else ""
        self.clients = Clients(location, clock)
        self.upload_bandwidth = RateLimiter(location.max_upload_mb_s)
        self.download_bandwidth = RateLimiter(location.max_download_mb_s)
        self._clock = clock
        service = service_of(location)
        self.checksums = ObjectChecksums(service, self.clients.retrying, clock)
        self._unfinished = unfinished_uploads(service)

    def __repr__(self) -> str:
        return f"ObjectStore({self.location!r})"

    def __reduce__(self) -> NoReturn:
        # The client would put its secrets into the pickle.
        raise TypeError("an ObjectStore cannot be pickled: send its location and call open_store() there")

    def path(self, key: str) -> str:
        """The key's path in the bucket."""
        return self._root + checked_key(key)

    def temporary_key(self, name: str) -> str:
        """A new key for what becomes `name`, or its beginning; tells when it was made."""
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime(_STAMP_FORMAT)
        return f"{TEMPORARY}/{name[:_NAME_SHOWN]}.{stamp}.{secrets.token_hex(8)}"

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        """See `Store`."""
        return bytes(self._get(key, max_bytes)[0])

    def read_view(self, key: str, max_bytes: int | None = None) -> memoryview:
        """See `Store`."""
        data = self._get(key, max_bytes)[0]
        return data if len(data) >= _KEPT else memoryview(bytes(data))

    def _get(self, key: str, max_bytes: int | None = None) -> tuple[memoryview, ObjectMeta, GetResult]:
        where, path = self._where(key), self.path(key)
        found, meta, data = get(self.clients.retrying, path, where, max_bytes=max_bytes)
        self.download_bandwidth.acquire(len(data))
        if len(data) != meta["size"]:
            raise StoreError(f"{where}: {len(data)} bytes came instead of {meta['size']}")
        return data, meta, found

    def size(self, key: str) -> int | None:
        """See `Store`; None too where the bucket does not exist, which the service does not tell apart."""
        path = self.path(key)
        try:
            return call(self._where(key), lambda: obstore.head(self.clients.retrying, path))["size"]
        except ObjectNotFoundError:
            return None

    def open_read(self, key: str) -> io.BufferedReader:
        """See `Store`; reading raises `StoreError` once the object is replaced."""
        return open_reader(self.clients.retrying, self.path(key), self._where(key), self.download_bandwidth)

    def list_children(self, prefix: str) -> Iterator[ListEntry]:
        """See `Store`; a prefix that holds nothing but objects is listed only as far as it is asked for.

        (In a prefix of more than 1,000 children, objects named like ``b.txt`` can come before a prefix ``b``.)
        """
        base = self.path(prefix) if prefix else self.location.prefix
        start = len(base) + 1 if base else 0
        last = ""
        for page in self._pages(base):
            names = [meta["path"][start:] for meta in page]
            if any("/" in name for name in names):
                # Its prefixes were never met before, wherever their names belong.
                yield from (entry for entry in self._level(base, start) if entry.is_prefix or entry.name > last)
                return
            for name in names:
                if name:  # some tools make an object to stand for the prefix itself
                    yield ListEntry(name, False)
                    last = name

    def _level(self, base: str, start: int) -> list[ListEntry]:
        where = f"{self.location.scheme}://{join(self.location.bucket, base)}"
        found = repeated(lambda: call(where, lambda: obstore.list_with_delimiter(self.clients.retrying, base or None)))
        entries = [ListEntry(meta["path"][start:], False) for meta in found["objects"]]
        entries += [ListEntry(path[start:], True) for path in found["common_prefixes"]]
        return sorted((entry for entry in entries if entry.name), key=lambda entry: entry.name)

    def _pages(self, base: str) -> Iterator[Sequence[ObjectMeta]]:
        """All objects below `base`, in the order of their paths, a page at a time as they are asked for."""
        where = f"{self.location.scheme}://{join(self.location.bucket, base)}"
        last: str | None = None
        failures = 0
        while True:
            stream = obstore.list(self.clients.retrying, base or None, offset=last, chunk_size=_PAGE)
            try:
                while page := call(where, lambda stream=stream: next(stream, None)):  # type: ignore[misc]
                    yield page
                    last, failures = page[-1]["path"], 0
                return
            except StoreError as error:  # the client does not repeat a list that was cut off
                failures += 1
                if not is_transient(error) or failures == ATTEMPTS:
                    raise
                pause(failures)

    def create(self, key: str, data: bytes) -> None:
        """See `Store`."""
        checked_key(key)
        token = secrets.token_hex(16)
        failure: StoreError | None = None
        for _ in attempts():
            try:
                self._put(self.clients.publishing, key, data, "create", token)
                return
            except ObjectExistsError:
                if failure is not None and self._wrote(key, data, token):
                    return
                raise
            except StoreError as error:
                if not is_transient(error):
                    raise
                # The answer may be lost of what was done; or of why it was not, when the body is large.
                if (wrote := self._wrote(key, data, token)) is not None:
                    if wrote:
                        return
                    raise ObjectExistsError(f"{self._where(key)} exists already") from None
                failure = error
        assert failure is not None
        raise failure

    def _wrote(self, key: str, data: bytes, token: str) -> bool | None:
        """Whether what lies there is from the writer with this token; None when nothing does.

        Where the service keeps no tokens, an equal object will do.
        """
        try:
            found, _, answer = self._get(key)
        except ObjectNotFoundError:
            return None
        writer = answer.attributes.get(_WRITER)
        return writer == token if writer else found == data

    def replace(self, key: str, data: bytes) -> None:
        """See `Store`."""
        self._put(self.clients.retrying, key, data, "overwrite", secrets.token_hex(16))

    def update(self, key: str, change: Change) -> bytes | None:
        """See `Store`.

        One case is beyond telling: our write took effect, its answer was lost, and another writer came before we
        looked. Then the change is made once more, on top.
        """
        tokens: set[str] = set()
        failures = conflicts = 0
        while True:
            mode: PutMode = "create"
            old: bytes | None = None
            try:
                held, meta, answer = self._get(key)
            except ObjectNotFoundError:
                pass
            else:
                old = bytes(held)
                if answer.attributes.get(_WRITER) in tokens:
                    return old
                mode = version_of(meta)
            new = change(old)
            if new is None:
                return old
            token = secrets.token_hex(16)
            try:
                self._put(self.clients.single_attempt, key, new, mode, token)
                return new
            except (
                ObjectExistsError,
                ObjectNotFoundError,
            ):  # missing: another writer has deleted what was to be replaced
                conflicts += 1
                if conflicts == _CONFLICTS:
                    raise StoreError(f"{self._where(key)} was changed by others {conflicts} times in a row") from None
                pause(min(conflicts, 4))
            except StoreError as error:
                tokens.add(token)
                failures += 1
                if not is_transient(error) or failures == ATTEMPTS:
                    raise
                pause(failures)

    def _put(self, client: Client, key: str, data: bytes, mode: PutMode, token: str) -> None:
        path = self.path(key)
        self.upload_bandwidth.acquire(len(data))
        call(
            self._where(key),
            lambda: obstore.put(client, path, data, mode=mode, use_multipart=False, attributes={_WRITER: token}),
        )

    def delete(self, key: str) -> None:
        """See `Store`."""
        path = self.path(key)
        with contextlib.suppress(ObjectNotFoundError):
            call(self._where(key), lambda: obstore.delete(self.clients.retrying, path))

    def ensure_durable(self, key: str) -> None:
        """See `Store`: what the service shows, it keeps."""

    def upload(self, key: str, *, caller_hashes: bool = False) -> ObjectUpload:
        """See `Store`."""
        return ObjectUpload(self, checked_key(key), caller_hashes=caller_hashes)

    def abort(self, key: str) -> None:
        """Abort the unfinished uploads to `key`."""
        path = self.path(key)
        for upload in self._unfinished.below(path):
            if upload.path == path:
                self._unfinished.abort(upload)

    @contextlib.contextmanager
    def lock(self, prefix: str = "") -> Iterator[None]:
        """Keep nobody waiting: conditions alone keep writers apart here."""
        if prefix:
            checked_key(prefix)
        yield

    def remove_leftovers(self) -> list[str]:
        """Remove temporary objects, and abort uploads to such, that are older than a day; return their keys.

        A younger one may belong to a live run: nothing tells. Services whose unfinished uploads cannot be listed with
        these credentials are left to a lifecycle rule of the bucket, with a warning.
        """
        folder = join(self.location.prefix, TEMPORARY)
        start = len(folder) - len(TEMPORARY)
        latest = self._clock() - _OLDEST.total_seconds()
        found = [(meta["path"][start:], meta["last_modified"]) for page in self._pages(folder) for meta in page]
        removed = [key for key, modified in found if _born(key, modified.timestamp()) < latest]
        for key in removed:
            self.delete(key)
        try:
            for upload in self._unfinished.below(f"{self.location.prefix}/" if self.location.prefix else ""):
                if _OWN.search(upload.path[start:]) and _born(upload.path, upload.begun) < latest:
                    self._unfinished.abort(upload)
                    removed.append(upload.path[start:])
        except BronzeError as error:
            _LOG.warning("Unfinished uploads stay: %s", error)
        return removed

    def check_conditional_writes(self) -> None:
        """See `bronze.storage.object_store.probe.probe`."""
        probe(self, allow_unconditional=self.location.allow_unconditional)

    def _where(self, key: str) -> str:
        return f"{self.url}/{key}"


def _born(key: str, otherwise: float) -> float:
    """When a temporary object was begun, in seconds since 1970: its key tells, whatever the service's clock says."""
    match = _STAMP.search(key)
    if not match:
        return otherwise
    return datetime.strptime(match[1], _STAMP_FORMAT).replace(tzinfo=UTC).timestamp()
