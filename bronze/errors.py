"""The exception tree of the project.

::

    BronzeError
    ├── ConfigError                    the settings, or what they refer to, are not usable (exit status 2)
    ├── DataError                      an input is invalid
    │   ├── LakeError                  a lake's layout or one of its objects is missing or mislabelled
    │   ├── FrameError                 an object is not whole zstd frames and nothing else
    │   ├── XdrError                   bytes are not well-formed XDR of the expected type
    │   │   └── NewerFormatError       they are of a version that this program does not read yet
    │   ├── VerificationError          a hash, link, sequence number or protocol version does not hold
    │   ├── AuthenticityError          a ledger is not the network's own
    │   │   └── ArchiveContradictionError  a history archive has another hash of it
    │   └── StateError                 a manifest, checkpoint, event file or chain is damaged or inconsistent
    ├── StoreError                     a store failed                                      (transient)
    │   ├── UnreachableError           the store does not answer, or only that it cannot now   (transient)
    │   ├── OutageError                it did not for longer than the run waits            (stops the run)
    │   ├── DiskFullError              there is no space left                              (stops the run)
    │   ├── ObjectNotFoundError        there is no object at the key
    │   ├── ObjectExistsError          there is already an object at the key
    │   ├── NotAnObjectError           what is at the key lies outside of the root, or is no regular file
    │   ├── ObjectTooLargeError        an object is larger than the caller or the store accepts
    │   └── AccessDeniedError          the credentials are invalid or lack a permission
    ├── ArchiveError                   a history archive does not answer, or its answer is damaged   (transient)
    │   ├── ArchiveFileMissingError    it lacks a file
    │   ├── ArchiveNetworkError        it is one of another network
    │   └── ArchiveRefusedError        it refuses a request, or answers with more than is allowed
    ├── CatalogError                   the catalog rejected an operation                   (stops the run)
    │   └── CatalogUnavailableError    the catalog is unreachable or does not answer       (transient, stops the run)
    ├── DeliveryError                  an audit event could not be delivered               (transient, stops the run)
    ├── DeliveryRejectedError          the endpoint permanently rejected an audit event    (stops the run)
    ├── WorkerError                    a process that copies partitions ended                   (transient)
    ├── RunnerError                    a distributed runner does not answer, or a job there failed
    ├── RunStoppedError                the run was asked to stop; unfinished work is discarded
    └── ConflictError                  an existing object differs from the one to be published
        └── LockedError                another process holds a lock for too long           (stops the run)

Two class attributes say how a failure is handled: `BronzeError.transient` (retry it) and `BronzeError.stops_run`
(start no further work). Both hold for the class itself; a subclass restates what differs.

Messages name the object, the ledger and both values, and say what to do where that is known.
"""

from __future__ import annotations

import errno
from typing import ClassVar, Self

#: Errors of the system that say that a disk, or the caller's quota on it, is full.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Errors of the system that say that the server of a mount does not answer.
_NO_ANSWER = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


class BronzeError(Exception):
    """Base class of every error this project raises on purpose.

    Attributes:
        transient: whether the same operation may succeed when it is retried.
        stops_run: whether the run ends: nothing is to be copied past such a failure of a strict catalog or endpoint,
            and nothing can be while a disk is full or a store out of reach.
    """

    transient: ClassVar[bool] = False
    stops_run: ClassVar[bool] = False


class ConfigError(BronzeError):
    """The settings, or what they refer to, are not usable."""


class DataError(BronzeError):
    """An input is invalid; retrying cannot help.

    Attributes:
        where: the object in which the error was found, once that is known; the message begins with it.
    """

    where: str | None = None

    def at(self, where: str) -> Self:
        """Record where the error was found, unless that is recorded or in the message; return the error itself."""
        if where not in super().__str__():
            self.where = self.where or where
        return self

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.where}: {message}" if self.where else message


class LakeError(DataError):
    """A lake's layout, or one of its objects, is missing or mislabelled."""


class FrameError(DataError):
    """An object is not one or more whole zstd frames and nothing else, or decodes to more than allowed."""


class XdrError(DataError):
    """Bytes are not well-formed XDR of the expected type.

    Attributes:
        offset: position of the first invalid byte, from the start of the buffer.
        path: the type path to it, such as ``LedgerCloseMeta.v1.txSet``.
        reason: what is invalid there.
    """

    _message: ClassVar[str] = "malformed XDR at byte {offset} in {path}: {reason}"

    def __init__(self, reason: str, *, offset: int, path: str) -> None:
        super().__init__(self._message.format(reason=reason, offset=offset, path=path))
        self.reason = reason
        self.offset = offset
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_xdr_error, (type(self), self.reason, self.offset, self.path), self.__dict__)


def _rebuild_xdr_error(kind: type[XdrError], reason: str, offset: int, path: str) -> XdrError:
    return kind(reason, offset=offset, path=path)


class NewerFormatError(XdrError):
    """Bytes are of a version of the format that this program does not read yet."""

    _message = "newer than this program reads: {reason} (byte {offset} in {path}): upgrade bronze-copier"


class VerificationError(DataError):
    """A hash, link, sequence number or protocol version does not hold."""


class AuthenticityError(DataError):
    """A ledger is not the network's own: a signature, a contract event or a trusted hash does not hold."""


class ArchiveContradictionError(AuthenticityError):
    """A history archive has another hash of a ledger than what was copied.

    Attributes:
        ledger: whose hash differs.
    """

    def __init__(self, message: str, ledger: int = 0) -> None:
        super().__init__(message)
        self.ledger = ledger


class StateError(DataError):
    """A manifest, checkpoint, event file or chain is damaged, or contradicts another one."""


class StoreError(BronzeError):
    """A store failed; retrying may help."""

    transient = True


class UnreachableError(StoreError):
    """The store does not answer, or answers that it cannot serve now (5xx, too many requests)."""


class OutageError(StoreError):
    """A store was unreachable for longer than the run waits."""

    transient = False
    stops_run = True


class DiskFullError(StoreError):
    """A file system has no space left, or the quota on it is used up."""

    transient = False
    stops_run = True


class ObjectNotFoundError(StoreError):
    """There is no object at the key."""

    transient = False


class ObjectExistsError(StoreError):
    """There is already an object at the key."""

    transient = False


class NotAnObjectError(StoreError):
    """What is at the key is not an object: it lies outside of the store's root, or is no regular file."""

    transient = False


class ObjectTooLargeError(StoreError):
    """An object is larger than the caller, or the store, accepts."""

    transient = False


class AccessDeniedError(StoreError):
    """The credentials are invalid, or lack the permission for the operation."""

    transient = False


class ArchiveError(BronzeError):
    """A history archive does not answer, or its answer is damaged; retrying may help."""

    transient = True


class ArchiveFileMissingError(ArchiveError):
    """A history archive lacks a file."""

    transient = False


class ArchiveNetworkError(ArchiveError):
    """A history archive is one of another network."""

    transient = False


class ArchiveRefusedError(ArchiveError):
    """A history archive refuses a request, redirects elsewhere, or answers with more than is allowed."""

    transient = False


class CatalogError(BronzeError):
    """The catalog rejected an operation; retrying cannot help."""

    stops_run = True


class CatalogUnavailableError(CatalogError):
    """The catalog is unreachable, or does not answer in time; retrying may help."""

    transient = True


class DeliveryError(BronzeError):
    """An audit event could not be delivered; retrying may help.

    Attributes:
        retry_after: seconds to wait before the next attempt, as the endpoint asked; 0 when it did not ask.
    """

    transient = True
    stops_run = True
    retry_after: float = 0.0


class DeliveryRejectedError(BronzeError):
    """The endpoint permanently rejected an audit event."""

    stops_run = True


class WorkerError(BronzeError):
    """A process that copies partitions was killed, or could not be started; retrying starts another one."""

    transient = True


class RunnerError(BronzeError):
    """A distributed runner does not answer, or a job there failed or was cancelled; running again resumes."""


class RunStoppedError(BronzeError):
    """The run was asked to stop; unfinished work is discarded and nothing of it is published.

    Attributes:
        exit_status: of the program, when a signal asked; None when nobody knows who did.
    """

    exit_status: int | None = None


class ConflictError(BronzeError):
    """An existing object differs from the one to be published at its key."""


class LockedError(ConflictError):
    """Another process holds a lock, and held it for longer than the time to wait."""

    stops_run = True


def is_transient(error: BaseException) -> bool:
    """Whether retrying the failed operation may succeed.

    Errors of this project say so themselves (`BronzeError.transient`). Of the others, only ``OSError`` counts, without
    ``PermissionError`` and a full disk: a lost connection may recover.
    """
    if isinstance(error, BronzeError):
        return error.transient
    return isinstance(error, OSError) and not isinstance(error, PermissionError) and error.errno not in DISK_FULL


def is_unreachable(error: BaseException) -> bool:
    """Whether `error` says that a store, or the server of a mounted file system, does not answer."""
    return isinstance(error, UnreachableError) or (isinstance(error, OSError) and error.errno in _NO_ANSWER)


def stops_run(error: BaseException) -> bool:
    """Whether `error` ends the run (`BronzeError.stops_run`); a full disk does."""
    if isinstance(error, BronzeError):
        return error.stops_run
    return isinstance(error, OSError) and error.errno in DISK_FULL
