"""Checks of keys beside each other; those of one key alone are its type's (`pipeline.settings.types`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bronze.partitioning.era import era_conflicts
from pipeline.settings.document import KeyPath, key_name
from pipeline.settings.model import EraSettings, Settings, unknown_era


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of `keys` beside each other; it is reported at the first of them."""

    keys: tuple[KeyPath, ...]
    message: str

    def __str__(self) -> str:
        return f"{key_name(self.keys[0])}: {self.message}"


def cross_problems(settings: Settings, broken: Collection[KeyPath] = ()) -> Iterator[Problem]:
    """What is wrong with keys beside each other.

    Args:
        settings: where the keys in `broken` have their defaults.
        broken: keys reported already; nothing is said that depends on one of them.
    """
    for problem in [*_era_problems(settings, broken), *_place_problems(settings)]:
        if not any(_is_broken(key, broken) for key in problem.keys):
            yield problem


def _is_broken(key: KeyPath, broken: Collection[KeyPath]) -> bool:
    return any(key[: len(other)] == other for other in broken)


def _era_problems(settings: Settings, broken: Collection[KeyPath]) -> Iterator[Problem]:
    listed: dict[KeyPath, EraSettings] = {("eras", index): era for index, era in enumerate(settings.eras)}
    eras = listed or {("era",): settings.era}
    sound = []
    for path, era in eras.items():
        problems = list(_one_era(path, era))
        if listed and "era_id" not in era.model_fields_set:
            problems.append(Problem((path + ("era_id",),), "is missing: each of several eras needs its own"))
        yield from problems
        if not problems and not any(key[: len(path)] == path for key in broken):
            sound.append(era.era())
    for sentence in era_conflicts(sound):
        yield Problem((("eras",),), sentence)
    named = [era.era_id for era in eras.values() if not listed or "era_id" in era.model_fields_set]
    for index, name in enumerate(settings.active_eras):
        if name not in named:
            keys = ("active_eras", index), *(path + ("era_id",) for path in eras)
            yield Problem(keys, unknown_era(name, named))


def _one_era(path: KeyPath, era: EraSettings) -> Iterator[Problem]:
    if era.ledger_end and era.ledger_end < era.ledger_start:
        keys = path + ("ledger_end",), path + ("ledger_start",)
        yield Problem(keys, f"{era.ledger_end} is before ledger_start, {era.ledger_start} (0 means no end)")
    low, high = era.protocol_min, era.protocol_max
    if low is not None and high is not None and high < low:
        yield Problem((path + ("protocol_max",), path + ("protocol_min",)), f"{high} is below protocol_min, {low}")


#: What source.mode and storage.backend require.
_NEEDED = {
    "source.mode": {
        "local": ["local_path"],
        "gcs": ["gcs_bucket"],
        "s3": ["s3_bucket"],
        "datastore": ["datastore_type", "datastore_path"],
    },
    "storage.backend": {"local": ["local_dir"], "gcs": ["gcs_bucket"], "s3": ["s3_bucket"]},
}
_MEANING = {
    "datastore_type": " (GCS or S3)",
    "datastore_path": " (bucket/prefix)",
    "local_path": " (the lake's directory)",
}


def _place_problems(settings: Settings) -> Iterator[Problem]:
    source, lock = settings.source, settings.storage.object_lock
    scheme = source.datastore_path.partition("://")[0] if "://" in source.datastore_path else ""
    if source.datastore_type and scheme and scheme != {"GCS": "gs", "S3": "s3"}[source.datastore_type]:
        both = ("source", "datastore_path"), ("source", "datastore_type")
        yield Problem(both, f"{source.datastore_path!r} is not of datastore_type {source.datastore_type}")
    if bool(lock.mode) != bool(lock.days):
        pair = ("storage", "object_lock", "mode"), ("storage", "object_lock", "days")
        yield Problem(pair, "object_lock needs both a mode (GOVERNANCE or COMPLIANCE) and days")
    for kind, needed_by in _NEEDED.items():
        section_name, switch = kind.split(".")
        section = getattr(settings, section_name)
        chosen = getattr(section, switch)
        for name in needed_by[chosen]:
            if not getattr(section, name):
                keys = (section_name, name), (section_name, switch)
                yield Problem(keys, f"is missing: {kind} {chosen} needs it{_MEANING.get(name, '')}")
