"""The one exception tree of the project.

::

    BronzeError
    ├── ConfigError            the settings, or what they point at, cannot be used      (exit status 2)
    ├── DataError              an input is wrong; trying again cannot help
    │   ├── LakeError          a lake's layout, or an object of it, is missing or mislabelled
    │   ├── FrameError         an object is not exactly one whole zstd frame
    │   ├── XdrError           bytes that are no well-formed XDR of the type expected
    │   ├── VerificationError  a hash, a link, a sequence or a protocol does not hold
    │   └── StateError         a manifest, checkpoint, event file or chain that contradicts itself
    ├── StoreError             a store could not do what it was asked; may help to try again
    │   ├── ObjectNotFoundError      nothing lies at the key
    │   ├── ObjectExistsError       something lies at the key already
    │   ├── ObjectTooLargeError     an object has more bytes than the caller, or the store, takes
    │   ├── AccessDeniedError       the credentials are refused, or do not allow what was asked
    │   └── CatalogError       the catalog refused; trying again cannot help
    │       └── CatalogUnavailableError  the catalog cannot be reached, or does not answer; may pass
    ├── RunStoppedError                the run was asked to stop; what was begun is given up
    ├── DeliveryError          an audit event could not be delivered; may pass
    ├── DeliveryRejectedError        the endpoint will never take an audit event
    └── ConflictError          what lies at a key differs from what is to be published there

A message names the object, the ledger and both values, and says what to do where that is known.
``OSError`` from local files counts as transient too, except ``PermissionError`` (`is_transient`).
"""

from __future__ import annotations

from typing import Self


class BronzeError(Exception):
    """Base of every error this project raises on purpose."""


class ConfigError(BronzeError):
    """The settings, or what they point at, cannot be used."""


class DataError(BronzeError):
    """An input is wrong; trying again cannot help.

    Attributes:
        where: the object it was met in, once that is known; begins the message.
    """

    where: str | None = None

    def at(self, where: str) -> Self:
        """Say where the error was met, unless that was said already; returns itself."""
        self.where = self.where or where
        return self

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.where}: {message}" if self.where else message


class LakeError(DataError):
    """A lake's layout, or an object of it, is missing or mislabelled."""


class FrameError(DataError):
    """An object is not exactly one whole zstd frame within the size bound."""


class XdrError(DataError):
    """Bytes that are no well-formed XDR of the type expected.

    Attributes:
        offset: position of the first byte that does not fit, from the start of the buffer read.
        path: the type path to it, such as ``LedgerCloseMeta.v1.txSet``.
        reason: what is wrong there.
    """

    def __init__(self, reason: str, *, offset: int, path: str) -> None:
        super().__init__(f"malformed XDR at byte {offset} in {path}: {reason}")
        self.reason = reason
        self.offset = offset
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_xdr_error, (self.reason, self.offset, self.path), self.__dict__)


def _rebuild_xdr_error(reason: str, offset: int, path: str) -> XdrError:
    return XdrError(reason, offset=offset, path=path)


class VerificationError(DataError):
    """A hash, a link, a sequence or a protocol does not hold."""


class StateError(DataError):
    """A manifest, checkpoint, event file or chain that contradicts itself or another."""


class StoreError(BronzeError):
    """A store could not do what it was asked; it may help to try again."""


class ObjectNotFoundError(StoreError):
    """Nothing lies at the key."""


class ObjectExistsError(StoreError):
    """Something lies at the key already."""


class ObjectTooLargeError(StoreError):
    """An object has more bytes than the caller, or the store, takes."""


class AccessDeniedError(StoreError):
    """The credentials are refused, or do not allow what was asked."""


class CatalogError(StoreError):
    """The catalog refused what it was asked; trying again cannot help."""


class CatalogUnavailableError(CatalogError):
    """The catalog cannot be reached, or does not answer in time; may pass."""


class RunStoppedError(BronzeError):
    """The run was asked to stop; what was begun is given up and nothing of it is published."""


class DeliveryError(BronzeError):
    """An audit event could not be delivered; may pass.

    Attributes:
        retry_after: seconds the endpoint asked to be left alone for; 0 when it did not.
    """

    retry_after: float = 0.0


class DeliveryRejectedError(BronzeError):
    """The endpoint's answer says that it will never take an audit event."""


class ConflictError(BronzeError):
    """What lies at a key differs from what is to be published there."""


def is_transient(error: BaseException) -> bool:
    """Whether trying the same thing again may succeed."""
    if isinstance(error, CatalogError):
        return isinstance(error, CatalogUnavailableError)
    if isinstance(
        error, (ObjectNotFoundError, ObjectExistsError, ObjectTooLargeError, AccessDeniedError, PermissionError)
    ):
        return False
    return isinstance(error, (StoreError, DeliveryError, OSError))
