"""Listing of a bucket: pages of bounded size that must make progress; keys that no store can have are left out.

Both services answer the second version of S3's list request. The obstore client could send it too, but reads pages
without a bound, follows a server that never ends, and refuses a whole listing for one key with an empty segment.
"""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus

from bronze.errors import StoreError
from bronze.storage.store import checked_key

#: Keys that one page has at most, and bytes: a key has at most 1,024, three times as many when it is escaped.
PAGE_KEYS, PAGE_BYTES = 1000, 8 << 20
#: Pages in a row that may bring no key behind the last one.
_MAX_IDLE_PAGES = 20
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BucketObject:
    """An object: its path in the bucket, when it was written, in seconds since 1970, and its bytes."""

    path: str
    modified: float
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the objects and the common prefixes (with their slash at the end), each in the service's order."""

    objects: list[BucketObject]
    prefixes: list[str]


@dataclass(frozen=True, slots=True)
class _Answer:
    objects: list[BucketObject]
    prefixes: list[str]
    token: str
    truncated: bool


#: Sends one list request with these parameters; returns the answer's body, at most `PAGE_BYTES`.
Send = Callable[[Mapping[str, str]], bytes]


def list_pages(send: Send, prefix: str, *, delimiter: bool, url: str, after: str = "") -> Iterator[Page]:
    """The objects whose paths begin with `prefix`, page by page, each requested when it is needed.

    Args:
        prefix: empty, or with a slash at its end.
        delimiter: list only what is directly below the prefix, and the common prefixes of the rest.
        url: of the prefix, for errors.
        after: list only what comes after this path.

    Raises:
        StoreError: an answer is not a listing, or the pages make no progress.
        whatever `send` raises.
    """
    params = {"list-type": "2", "max-keys": str(PAGE_KEYS), "prefix": prefix}
    if delimiter:
        params["delimiter"] = "/"
    if after:
        params["start-after"] = after
    last, idle = after, 0
    while True:
        answer = _request(send, params, url)
        names = [found.path for found in answer.objects] + answer.prefixes
        newest = max(names, key=str.encode, default="")
        idle = 0 if newest.encode() > last.encode() else idle + 1
        if names and idle:
            raise StoreError(f"{url}: the service lists the same keys again, or not in their order")
        if idle > _MAX_IDLE_PAGES:
            raise StoreError(f"{url}: the service's listing does not end: {idle} pages without a key")
        last = max(last, newest, key=str.encode)
        yield Page(
            [found for found in answer.objects if _is_ours(found.path, prefix)],
            [path for path in answer.prefixes if _is_ours(path.removesuffix("/"), prefix)],
        )
        if not answer.truncated:
            return
        if answer.token:
            params.pop("start-after", None)
            params["continuation-token"] = answer.token
        else:
            params["start-after"] = last


def _request(send: Send, params: Mapping[str, str], url: str) -> _Answer:
    body = send(params)
    try:
        return _parse(body)
    except ET.ParseError:
        pass  # XML cannot hold every character of a key
    try:
        return _parse(send({**params, "encoding-type": "url"}))
    except ET.ParseError:
        raise StoreError(f"{url}: the service's answer to a list request is not XML") from None


def _parse(body: bytes) -> _Answer:
    if b"<!DOCTYPE" in body:
        raise ET.ParseError
    root = ET.fromstring(body)
    if root.tag.rpartition("}")[2] != "ListBucketResult":
        raise ET.ParseError
    escaped = root.findtext("{*}EncodingType") == "url"

    def text(element: ET.Element, name: str) -> str:
        found = element.findtext("{*}" + name, "")
        return unquote_plus(found) if escaped else found

    objects = [
        BucketObject(
            text(found, "Key"), _seconds(found.findtext("{*}LastModified", "")), _size(found.findtext("{*}Size", ""))
        )
        for found in root.iterfind("{*}Contents")
    ]
    prefixes = [text(found, "Prefix") for found in root.iterfind("{*}CommonPrefixes")]
    token = root.findtext("{*}NextContinuationToken", "")
    return _Answer(objects, prefixes, token, root.findtext("{*}IsTruncated") == "true")


def _seconds(stated: str) -> float:
    try:
        return datetime.fromisoformat(stated).timestamp()
    except ValueError:
        raise ET.ParseError from None


def _size(stated: str) -> int:
    if not (stated.isascii() and stated.isdigit() and len(stated) < 20):
        raise ET.ParseError
    return int(stated)


def _is_ours(path: str, prefix: str) -> bool:
    """Whether a listed path is below `prefix`, and one that a store can have."""
    name = path.removeprefix(prefix)
    if not path.startswith(prefix) or not name:  # some tools create an object to stand for the prefix itself
        return False
    try:
        checked_key(name)
    except StoreError:
        _LOG.debug("A key that is not of this program is left out of the listing: %r", path)
        return False
    return True
