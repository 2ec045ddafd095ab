"""The endpoint's URL: what of it may be shown, what is secret, and which redirects lead to the same host."""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from bronze.errors import ConfigError
from bronze.redact import secrets_in


def display_name_and_secrets(url: str) -> tuple[str, frozenset[str]]:
    """The URL's scheme, host and port; and its secrets: credentials, and path and query, which may hold tokens."""
    shown = shown_address(url)
    if shown is None or re.search(r"\s", url):
        raise ConfigError(
            "pas.endpoint is not a URL of the form https://host[:port]/path (with its secrets percent-encoded)"
        )
    parts = urlsplit(url)
    secrets = {parts.username or "", parts.password or "", parts.query}
    secrets |= {value or name for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    # The path as a whole, and each part of it: any of them may be a token, however short.
    secrets |= {parts.path.strip("/"), *parts.path.split("/")}
    secrets |= {unquote(secret) for secret in secrets} | secrets_in(url)
    if credentials := credentials_of(url):
        secrets.add(base64.b64encode(b":".join(credentials)).decode())
    return shown, frozenset(secrets - {""})


def shown_address(url: str) -> str | None:
    """Scheme, host and port of an HTTP URL; None when it is not one."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # its message quotes the part it did not understand
        return None
    if not host or parts.scheme not in ("http", "https"):
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}"


def is_same_host(url: str, target: str) -> bool:
    """Whether a redirect from `url` may be followed: to the same host, and not from HTTPS to HTTP."""
    if shown_address(target) is None:
        return False
    before, after = urlsplit(url), urlsplit(target)
    return before.hostname == after.hostname and (before.scheme, after.scheme) != ("https", "http")


def credentials_of(url: str) -> tuple[bytes, bytes] | None:
    """User and password of the URL. requests itself ignores a user without a password, as tokens are written."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return unquote(parts.username).encode(), unquote(parts.password or "").encode()
