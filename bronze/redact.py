"""Masking of secrets in text before it is shown: errors, logs, ``repr``.

Text from outside (a URL of the settings, a server's answer, a driver's exception) may contain a password. `redact`
masks what looks like one, and whatever the caller knows to be one. `printable` makes control characters visible
instead of letting them act on a terminal, and `clean` does both: it is what text of a server goes through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

MASK = "***"

#: Known secrets that are shorter are not masked: masking every ``ab`` would make a log unreadable.
SHORTEST_KNOWN = 4

_SECRET_WORD = r"(?:pass(?:word|wd)|pwd|secret|token|signature|credential|api_?key|access_?key)"
_QUOTED = r"\"(?:\\.|[^\"\\])*(?:\"|$)|'(?:\\.|[^'\\])*(?:'|$)"

# Each pattern has a group that stays (`keep`) and one that is masked (`secret`). Repetitions are bounded, so that a
# long hostile text takes linear time.
_PATTERNS = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        # A DSN: everything from the first colon to the last @, for passwords are often not escaped.
        r"(?P<keep>postgres(?:ql)?://[^\s:/@]{0,128}:)(?P<secret>\S{0,512})(?=@)",
        # Other URLs: likewise, unless what follows the colon is a port. Without a colon it is a token.
        r"(?P<keep>\b(?!postgres)[a-z][a-z0-9+.-]{0,31}://[^\s:/@?#]{0,128}:)(?!\d{1,5}(?:[/?#\s]|$))"
        r"(?P<secret>\S{0,512})(?=@)",
        r"(?P<keep>\b(?!postgres)[a-z][a-z0-9+.-]{0,31}://)(?P<secret>[^\s:/@?#]{1,512})(?=@)",
        rf"(?P<keep>[?&][^=&\s]{{0,64}}(?:{_SECRET_WORD}|auth|key|sig)[^=&\s]{{0,64}}=)(?P<secret>[^&\s#'\"]+)",
        # password=..., "password": "...", token: ...
        rf"(?P<keep>{_SECRET_WORD}[\"']?\s*=\s*)(?P<secret>{_QUOTED}|[^\s&]+)",
        rf"(?P<keep>{_SECRET_WORD}[\"']?\s*:\s*)(?P<secret>{_QUOTED}|[^\s&,}}]+)",
        r"(?P<keep>authorization[\"']?\s*[:=]\s*[\"']?)(?P<secret>(?:(?:bearer|basic|aws4-hmac-sha256)\s+)?[^\r\n\"']+)",
        # What S3 servers send back about a wrong signature.
        r"(?P<keep><(?P<tag>AWSAccessKeyId|StringToSign\w*|Signature\w*|CanonicalRequest\w*)>)"
        r"(?P<secret>.*?)(?=</(?P=tag)>|$)",
        r"(?P<keep>\b)(?P<secret>(?:AKIA|ASIA)[0-9A-Z]{16})\b",
        r"(?P<keep>-----BEGIN [A-Z ]*PRIVATE KEY-----)(?P<secret>.*?)(?=-----END|$)",
    )
]


def redact(text: str, secrets: Iterable[str] = (), *, short: bool = False) -> str:
    """Return `text` with every secret replaced by ``***``.

    Args:
        text: anything to be shown.
        secrets: strings known to be secret, masked wherever they occur (when at least `SHORTEST_KNOWN` long).
        short: mask shorter ones too, where they are not part of a longer word.
    """
    # Longest first: a password may be part of a DSN that is known as a whole.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_KNOWN:
            text = text.replace(secret, MASK)
        elif secret and short:
            text = re.sub(rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])", MASK, text)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: match["keep"] + MASK, text)
    return text


def printable(text: str, keep: str = "") -> str:
    r"""Return `text` with every character that is not printable escaped, as ``\x1b`` is.

    Control characters, escape sequences of terminals, marks that turn the direction of writing and line separators
    can so neither act on a terminal nor forge a line of a log.

    Args:
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii") for char in text
    )


def clean(text: str, secrets: Iterable[str] = (), *, short: bool = False) -> str:
    """Return what a server said as one line without secrets (see `redact`) and without control characters."""
    return printable(" ".join(redact(text, secrets, short=short).split()))


def names_a_secret(name: str) -> bool:
    """Whether the value of a field called `name` is always masked."""
    return re.search(_SECRET_WORD, name, re.IGNORECASE) is not None


def secrets_in(text: str) -> frozenset[str]:
    """The strings that `redact` would mask in `text`, as written and as they are once unquoted."""
    return frozenset(_secrets_in(text))


def _secrets_in(text: str) -> Iterator[str]:
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            secret = match["secret"]
            yield secret
            yield unquote(secret)
            if secret[:1] in ("'", '"'):
                yield re.sub(r"\\(.)", r"\1", secret.strip(secret[0]))
