"""Redirects of a service, which the obstore client follows: a barrier against those to other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from bronze.storage.location import StorageLocation
from bronze.storage.object_store.endpoints import endpoint_of

if TYPE_CHECKING:
    from obstore.store import ClientConfig

#: Where nothing listens; the client's error shows it when a redirect led there.
NO_PROXY_THERE = "127.0.0.1:0"


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
