"""Redirects of a service, which the obstore client follows: a barrier against those to other hosts; where they lead.

What a redirect leads to is only ever shown: the host and the region, for the person who has to set them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from bronze.redact import clean
from bronze.storage.certificates import ca_bundle
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.endpoints import endpoint_of

if TYPE_CHECKING:
    from obstore.store import ClientConfig

#: Where nothing listens; the client's error shows it when a redirect led there.
NO_PROXY_THERE = "127.0.0.1:0"
#: Seconds that it may take to find out where a redirect leads.
_LOOKUP_TIMEOUT_S = 5.0
_MAX_SHOWN = 200
_ENDPOINT = re.compile(r"<Endpoint>([^<]{1,300})</Endpoint>")
_REGION = re.compile(r"<Region>([^<]{1,100})</Region>")


def redirect_barrier(location: StorageLocation) -> ClientConfig:
    """Client options with which redirects lead nowhere but to the service itself.

    The client follows redirects, with all headers but ``Authorization``, and has no option against it. So every host
    but the service's is reached through a proxy that does not exist. Where the environment names a proxy for the
    service, that one stays, and the barrier is left out.
    """
    endpoint = endpoint_of(location)
    own = "amazonaws.com,amazonaws.com.cn" if location.scheme == "s3" else "googleapis.com"
    parts = urlsplit(endpoint or f"https://{own.partition(',')[0]}")
    host = parts.hostname or ""
    proxies = getproxies()
    if (parts.scheme in proxies or "all" in proxies) and not proxy_bypass(host):
        return {}
    return {"proxy_url": f"http://{NO_PROXY_THERE}", "proxy_excludes": host if endpoint else own}


def new_address(headers: Mapping[str, str], body: str = "") -> str:
    """Where a redirect leads, in parentheses after a blank; empty when it does not say.

    Of an address only scheme, host and port are shown, since the rest may hold a signature.

    Args:
        headers: of the answer, in lower case or of a kind that does not tell cases apart.
        body: of the answer, or as much of it as is known.
    """
    found = []
    if location := headers.get("location"):
        found.append(_shown(location))
    elif endpoint := _ENDPOINT.search(body):
        found.append(_shown(endpoint[1] if "://" in endpoint[1] else f"https://{endpoint[1]}"))
    if region := headers.get("x-amz-bucket-region") or stated_region(body):
        found.append(f"region {region}")
    words = clean(", ".join(part for part in found if part))[:_MAX_SHOWN]
    return f" ({words})" if words else ""


def stated_region(body: str) -> str:
    """The region that an S3 service's error names as the bucket's; empty when it names none."""
    found = _REGION.search(body)
    return clean(found[1]) if found else ""


def look_up_address(url: str) -> str:
    """`new_address` by one more request to `url`, without credentials; empty when that says nothing.

    For errors of the obstore client, which do not hold the answer's headers.
    """
    found: list[str] = []
    # A thread of its own: the HTTP client's time limits do not end an answer that comes byte by byte.
    thread = threading.Thread(target=lambda: found.append(_ask(url)), name="redirect", daemon=True)
    thread.start()
    thread.join(_LOOKUP_TIMEOUT_S)
    return found[0] if found else ""


def _ask(url: str) -> str:
    import requests

    with suppress(requests.RequestException, OSError, ValueError), requests.Session() as session:
        session.auth = _no_credentials  # without any setting the client would look in ~/.netrc
        verify = ca_bundle() or True
        with session.head(url, allow_redirects=False, timeout=_LOOKUP_TIMEOUT_S, verify=verify) as answer:
            if 300 <= answer.status_code < 400:
                return new_address(answer.headers)
    return ""


def _shown(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}" if host else ""


def _no_credentials(request: Any) -> Any:
    return request
