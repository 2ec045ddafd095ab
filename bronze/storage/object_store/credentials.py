"""Credentials of S3 and Google Cloud Storage, looked up once by Amazon's and Google's own libraries.

Those find every kind of credential there is and refresh what expires; obstore asks them through a callback. Whatever is
missing is an error when a store is opened, which says where credentials were looked for. Keys in the environment are
passed by: obstore reads them itself, without a library that takes long to load.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bronze.errors import ConfigError
from bronze.redact import clean
from bronze.retry import RetryPolicy
from bronze.storage.certificates import ca_bundle
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.endpoints import gcs_emulator

if TYPE_CHECKING:
    from obstore.store import GCSCredential, S3Config, S3Credential

_GOOGLE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_AWS_PLACES = (
    "looked in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the profile {profile} of ~/.aws/credentials and"
    " ~/.aws/config, in the web identity, container and instance role (metadata service); provide one of them, or set"
    " `anonymous: true` for a public bucket"
)
_GOOGLE_PLACES = (
    "set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, run `gcloud auth application-default login`, use a"
    " machine with a service account, or set `anonymous: true` for a public bucket"
)
#: Seconds that one request for a credential may take, and how often it is made.
_REQUEST_SECONDS, _REQUEST_ATTEMPTS = 10.0, 3
#: Seconds for the instance's metadata service, which is next to the machine or not there at all.
_METADATA_SECONDS, _METADATA_ATTEMPTS = 2, 2
#: obstore asks again when less than five minutes are left: soon, for the library knows best when to refresh.
_VALIDITY = timedelta(minutes=5, seconds=30)
#: A Google token that is valid for less is refreshed.
_TOKEN_LEFT = timedelta(minutes=6)


def has_aws_keys() -> bool:
    """Whether the environment holds an access key and its secret."""
    return bool(os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"))


def credentials_in_words(location: StorageLocation) -> str:
    """What the store at `location`, which was opened before, sends as credentials: "with …" or "without …"."""
    if location.anonymous or (location.scheme == "gs" and gcs_emulator()):
        return "without credentials"
    if location.scheme == "gs":
        named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        return f"with the credentials of {named}" if named else "with the application default credentials"
    if has_aws_keys():
        return "with the keys of the environment"
    return f"with credentials of {_found_by_aws(_environment('AWS_'))[0].method}"


def aws_session() -> Any:
    """A new botocore session, whose requests for credentials have a time limit. For one thread."""
    import botocore.config  # type: ignore[import-untyped]
    import botocore.session  # type: ignore[import-untyped]

    session = botocore.session.Session()
    session.set_default_client_config(
        botocore.config.Config(
            connect_timeout=5,
            read_timeout=_REQUEST_SECONDS,
            retries={"total_max_attempts": _REQUEST_ATTEMPTS, "mode": "standard"},
        )
    )
    if "AWS_METADATA_SERVICE_TIMEOUT" not in os.environ:
        session.set_config_variable("metadata_service_timeout", _METADATA_SECONDS)
    if "AWS_METADATA_SERVICE_NUM_ATTEMPTS" not in os.environ:
        session.set_config_variable("metadata_service_num_attempts", _METADATA_ATTEMPTS)
    if bundle := ca_bundle():
        session.set_config_variable("ca_bundle", bundle)
    return session


@functools.lru_cache(maxsize=4)
def _found_by_aws(environment: frozenset[tuple[str, str]]) -> tuple[Any, str | None]:
    """The credentials and the region that `environment`, of this process, leads to."""
    import botocore.exceptions  # type: ignore[import-untyped]

    session = aws_session()
    credentials = session.get_credentials()
    if credentials is None:  # raised, so that it is not remembered
        raise botocore.exceptions.NoCredentialsError
    return credentials, session.get_config_variable("region")


@functools.lru_cache(maxsize=4)
def _found_by_google(environment: frozenset[tuple[str, str]]) -> Any:
    """The credentials that `environment`, of this process, leads to."""
    import google.auth
    import google.auth.credentials

    # It warns where it finds no project, which nothing here needs.
    logging.getLogger("google.auth._default").setLevel(logging.ERROR)
    # With scopes it would ask another service for the project.
    credentials, _ = google.auth.default(request=google_request())
    scoped: Any = google.auth.credentials.with_scopes_if_required(  # type: ignore[no-untyped-call]
        credentials, [_GOOGLE_SCOPE]
    )
    return scoped


def _environment(*prefixes: str) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in os.environ.items() if name.startswith(("HOME", *prefixes)))


class AwsCredentials:
    """The credentials that Amazon's library finds; called by obstore for the current ones.

    Args:
        url: of the location; errors begin with it.

    Raises:
        ConfigError: there are none, or they cannot be had.
    """

    def __init__(self, url: str) -> None:
        import botocore.exceptions

        self.config: S3Config = {}
        places = _AWS_PLACES.format(profile=os.environ.get("AWS_PROFILE") or "default")
        try:
            self._credentials, region = _found_by_aws(_environment("AWS_"))
            if region:
                self.config["region"] = region
            self()
            return
        except botocore.exceptions.NoCredentialsError:
            failure = ConfigError(f"{url}: no AWS credentials were found: {places}")
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError, OSError) as error:
            failure = ConfigError(f"{url}: AWS credentials cannot be used: {clean(str(error))}; {places}")
        raise failure

    def __call__(self) -> S3Credential:
        """The credentials to use now."""
        current = self._credentials.get_frozen_credentials()
        expires = hasattr(self._credentials, "refresh_needed")
        return {
            "access_key_id": current.access_key,
            "secret_access_key": current.secret_key,
            "token": current.token,
            "expires_at": datetime.now(UTC) + _VALIDITY if expires else None,
        }


class GoogleCredentials:
    """The application default credentials; called by obstore for a current token. Safe to share between threads.

    Attributes:
        credentials: as google-auth knows them.

    Args:
        url: of the location; errors begin with it.

    Raises:
        ConfigError: there are none, or they cannot be had.
    """

    def __init__(self, url: str) -> None:
        import google.auth.exceptions

        self._lock = threading.Lock()
        try:
            self.credentials = _found_by_google(_environment("GOOGLE_", "CLOUDSDK_", "GCE_"))
            self()
            return
        except (google.auth.exceptions.GoogleAuthError, ValueError, KeyError, OSError) as error:
            failure = ConfigError(
                f"{url}: Google credentials cannot be used: {clean(str(error))}{_named_file()}; {_GOOGLE_PLACES}"
            )
        raise failure

    def __call__(self) -> GCSCredential:
        """A token that is valid for some minutes."""
        from google.auth.exceptions import TransportError

        with self._lock:
            expiry = _aware(self.credentials.expiry)
            if not self.credentials.token or (expiry and expiry - datetime.now(UTC) < _TOKEN_LEFT):
                RetryPolicy(_REQUEST_ATTEMPTS, 500).call(
                    "the request for a Google token",
                    lambda: self.credentials.refresh(google_request()),
                    lambda error: isinstance(error, TransportError),
                )
            return {"token": self.credentials.token, "expires_at": _aware(self.credentials.expiry)}


def google_request() -> Any:
    """What google-auth sends its own requests with: they have a time limit and trust the configured authorities."""
    import google.auth.transport.requests

    request = google.auth.transport.requests.Request()
    return functools.partial(
        request, timeout=_REQUEST_SECONDS, **({"verify": bundle} if (bundle := ca_bundle()) else {})
    )


def _named_file() -> str:
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return f" (GOOGLE_APPLICATION_CREDENTIALS is {named!r})" if named else ""


def _aware(expiry: datetime | None) -> datetime | None:
    """google-auth writes UTC without saying so."""
    return expiry.replace(tzinfo=UTC) if expiry and expiry.tzinfo is None else expiry
