"""Every setting with the value that counts, what it means here, and where it comes from; secrets are masked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from bronze.redact import MASK, redact, secrets_in
from bronze.stellar import known_passphrase
from pipeline.settings.locations import local_path
from pipeline.settings.model import Section, Settings
from pipeline.settings.problem import KeyPath, key_name

#: Keys whose URL may have a token in its path or query.
_URLS_WITH_TOKENS = frozenset({("pas", "endpoint"), ("metrics", "pushgateway")})


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSetting:
    """One key.

    Attributes:
        key: as messages write it: ``eras[1].partition_size``.
        value: a text, number, boolean, list or None, without secrets.
        in_effect: what the value means here, such as the absolute path of a relative one; mostly the value itself.
        origin: ``default``, ``line N`` of the file, or the name of the environment variable.
    """

    key: str
    value: object
    in_effect: object
    origin: str


def effective_settings(settings: Settings, origins: Mapping[KeyPath, str]) -> list[EffectiveSetting]:
    """Every key with its value; ``era`` is left out where ``eras`` are given, which take its place.

    Args:
        origins: as `pipeline.settings.load.load_with_origins` returns them.
    """
    derived = _derived(settings)
    return [
        EffectiveSetting(
            key=key_name(path),
            value=_shown(path, value),
            in_effect=_shown(path, derived.get(path, value)),
            origin=origins.get(path, "default") if is_given else "default",
        )
        for path, value, is_given in _leaves(settings, ())
        if not (settings.eras and path[0] == "era")
    ]


def _leaves(section: Section, path: KeyPath) -> Iterator[tuple[KeyPath, object, bool]]:
    """The keys below `section` with their values, and whether they were given."""
    for name in type(section).model_fields:
        value, own = getattr(section, name), (*path, name)
        if isinstance(value, Section):
            yield from _leaves(value, own)
        elif isinstance(value, tuple) and value and all(isinstance(one, Section) for one in value):
            for index, one in enumerate(value):
                yield from _leaves(one, (*own, index))
        else:
            yield own, value, name in section.model_fields_set


def _derived(settings: Settings) -> dict[KeyPath, object]:
    """What keys mean here whose value says it only together with others, or with this machine."""
    paths: dict[KeyPath, str] = {
        ("source", "local_path"): settings.source.local_path if settings.source.mode == "local" else "",
        ("storage", "local_dir"): settings.storage.local_dir if settings.storage.backend == "local" else "",
        ("pas", "backup_dir"): settings.pas.backup_dir if settings.pas.enabled else "",
        ("checkpoint", "dir"): settings.checkpoint.dir if settings.checkpoint.enabled else "",
        ("authenticity", "anchors_file"): settings.authenticity.anchors_file,
        ("authenticity", "validators"): settings.authenticity.validators,
        ("metrics", "textfile"): settings.metrics.textfile,
    }
    found: dict[KeyPath, object] = {key: _absolute(path) for key, path in paths.items() if path}
    found["active_eras",] = tuple(era.era_id for era in settings.active())
    found["perf", "workers"] = settings.workers
    found["perf", "max_in_flight_partitions"] = settings.perf.max_in_flight_partitions or settings.workers
    proofs = settings.authenticity
    found["authenticity", "archives_agree"] = proofs.archives_agree or len(proofs.archives)
    host, port = settings.metrics.listen_at
    found["metrics", "address"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    networks = {era.network for era in settings.active()}
    if not settings.source.network_passphrase and len(networks) == 1:
        found["source", "network_passphrase"] = known_passphrase(networks.pop()) or ""
    return found


def _absolute(text: str) -> str:
    if "://" in text and not text.startswith("file:"):
        return text
    return os.path.abspath(local_path(text))  # noqa: PTH100 - resolves "..", but no symbolic links


def _shown(path: KeyPath, value: object) -> object:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return redact(text, secrets_in(text), short=True)
    if isinstance(value, str) and value and path in _URLS_WITH_TOKENS:
        parts = urlsplit(value)
        host = parts.netloc.rpartition("@")[2]
        own = f"{MASK}@" if "@" in parts.netloc else ""
        rest = f"/{MASK}" if parts.path.strip("/") or parts.query else ""
        return f"{parts.scheme}://{own}{host}{rest}"
    if isinstance(value, tuple):
        return [redact(one) if isinstance(one, str) else one for one in value]
    return redact(value) if isinstance(value, str) else value
