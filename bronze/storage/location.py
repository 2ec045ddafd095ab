"""Storage locations: URL and options, checked; plain data that can be pickled, without connection or secret.

`bronze.storage.opening.open_store` opens the store at a location.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from bronze.errors import ConfigError, StoreError
from bronze.redact import redact
from bronze.storage.store import checked_key

LOCK_MODES = ("GOVERNANCE", "COMPLIANCE")

_OBJECT_STORES = {
    "anonymous", "endpoint", "max_upload_mb_s", "max_download_mb_s", "request_timeout_s", "allow_unconditional"
}  # fmt: skip
#: The options that each kind of location takes.
_OPTIONS = {
    "local": set[str](),
    "gs": _OBJECT_STORES,
    "s3": _OBJECT_STORES
    | {"region", "requester_pays", "storage_class", "kms_key", "object_lock_mode", "object_lock_days"},
}
_KINDS = {"local": "a local directory", "gs": "Google Cloud Storage", "s3": "S3"}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """A directory, or a prefix of a bucket, and how to reach it; checked when it is created.

    Credentials are looked up where the store is opened. S3: the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN), else AWS_PROFILE and ~/.aws, else the roles of the machine; AWS_REGION and AWS_ENDPOINT_URL
    stand in for `region` and `endpoint`. Google: GOOGLE_APPLICATION_CREDENTIALS, else the application default
    credentials; STORAGE_EMULATOR_HOST names an emulator, for which no credentials are sought.

    Attributes:
        url: ``/path``, ``file:///path``, ``s3://bucket/prefix`` or ``gs://bucket/prefix``.
        endpoint: ``http(s)://host[:port]`` of another service than Amazon's or Google's; requests to it have the bucket
            in their path, and ``http`` is taken at its word.
        region: of the bucket.
        anonymous: send no credentials (Google: reading only).
        requester_pays: agree to pay for requests.
        storage_class, kms_key: of published objects (`kms_key` of temporary ones too).
        object_lock_mode, object_lock_days: of objects published or created: GOVERNANCE or COMPLIANCE, and for how many
            days, at least 1; both or none.
        max_upload_mb_s, max_download_mb_s: 10^6 bytes per second of a whole process, above 0; None: no limit.
        request_timeout_s: the longest one request may take, above 0.
        allow_unconditional: accept a service that does not heed conditions: two runs at once may then overwrite each
            other's objects.

    Raises:
        ConfigError: the URL is none of these, an option is out of range, or the backend has no such option.
    """

    url: str
    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    storage_class: str | None = None
    kms_key: str | None = None
    object_lock_mode: str | None = None
    object_lock_days: int | None = None
    max_upload_mb_s: float | None = None
    max_download_mb_s: float | None = None
    request_timeout_s: float = 60.0
    allow_unconditional: bool = False

    def __post_init__(self) -> None:
        scheme = self.scheme
        self._check_url()
        for option in dataclasses.fields(self)[1:]:
            value = getattr(self, option.name)
            if value != option.default and option.name not in _OPTIONS[scheme]:
                raise ConfigError(f"{_KINDS[scheme]} ({redact(self.url)}) has no option {option.name}")
        for name in ("max_upload_mb_s", "max_download_mb_s", "request_timeout_s", "object_lock_days"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} is {value}, but must be above 0")
        if (self.object_lock_mode is None) != (self.object_lock_days is None):
            raise ConfigError("object_lock_mode and object_lock_days come together or not at all")
        if self.object_lock_mode not in (None, *LOCK_MODES):
            raise ConfigError(f"object_lock_mode is {self.object_lock_mode!r}, not one of {', '.join(LOCK_MODES)}")
        if self.endpoint is not None and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+/?", self.endpoint):
            raise ConfigError(f"endpoint {redact(self.endpoint)!r} is not http(s)://host or http(s)://host:port")

    @property
    def scheme(self) -> str:
        """``local``, ``s3`` or ``gs``."""
        if self.url.startswith(("/", "file:///")):
            return "local"
        scheme = self.url.partition("://")[0]
        if scheme not in ("s3", "gs") or "://" not in self.url:
            raise ConfigError(
                f"{redact(self.url)!r} is not a storage location: give /path, file:///path, s3://bucket/prefix or"
                " gs://bucket/prefix"
            )
        return scheme

    @property
    def bucket(self) -> str:
        """The bucket's name; empty for a directory."""
        return "" if self.scheme == "local" else self.url.split("/", 3)[2]

    @property
    def prefix(self) -> str:
        """The prefix of all keys in the bucket, without slashes at its ends; empty for a directory."""
        return "" if self.scheme == "local" else "/".join(self.url.split("/", 3)[3:]).strip("/")

    @property
    def path(self) -> str:
        """The directory; empty for a bucket."""
        if self.scheme != "local":
            return ""
        return unquote(urlsplit(self.url).path) if self.url.startswith("file:") else self.url

    def _check_url(self) -> None:
        shown = redact(self.url)
        inner = self.path.strip("/") if self.scheme == "local" else self.prefix
        try:
            if inner:
                checked_key(inner)
        except StoreError:
            raise ConfigError(f"{shown!r} has empty, '.' or '..' segments, or characters no path has") from None
        if self.scheme != "local" and not _BUCKET.fullmatch(self.bucket):
            raise ConfigError(f"{shown!r} does not name a bucket")
        if self.scheme != "local" and re.search("[?#]", self.prefix):
            raise ConfigError(f"{shown!r} has a query or fragment: options are settings of their own")
