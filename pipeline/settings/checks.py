"""Checks of keys against each other; what one key alone may be is its type's business (`pipeline.settings.types`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bronze.partitioning.era import era_conflicts
from pipeline.settings.model import MAX_ARCHIVES, EraSettings, Settings, unknown_era
from pipeline.settings.problem import KeyPath, Problem


def cross_problems(settings: Settings, broken: Collection[KeyPath] = ()) -> Iterator[Problem]:
    """Problems of keys that contradict or need each other.

    Args:
        settings: the settings, with the default for each key in `broken`.
        broken: keys that were reported already; no problem is yielded that depends on one of them.
    """
    for problem in [
        *_era_problems(settings, broken), *_location_problems(settings), *_authenticity_problems(settings),
        *_archive_problems(settings), *_secret_problems(settings),
    ]:  # fmt: skip
        if not problem.concerns(broken):
            yield problem


def _era_problems(settings: Settings, broken: Collection[KeyPath]) -> Iterator[Problem]:
    listed: dict[KeyPath, EraSettings] = {("eras", index): era for index, era in enumerate(settings.eras)}
    eras = listed or {("era",): settings.era}
    valid = []
    for path, era in eras.items():
        problems = list(_one_era(path, era))
        if listed and "era_id" not in era.model_fields_set:
            problems.append(Problem((*path, "era_id"), "is missing: each of several eras needs its own"))
        yield from problems
        if not problems and not any(key[: len(path)] == path for key in broken):
            valid.append(era.era())
    for sentence in era_conflicts(valid):
        yield Problem(("eras",), sentence)
    named = [era.era_id for era in eras.values() if not listed or "era_id" in era.model_fields_set]
    for index, name in enumerate(settings.active_eras):
        if name not in named:
            era_ids = tuple((*path, "era_id") for path in eras)
            yield Problem(("active_eras", index), unknown_era(name, named), depends_on=era_ids)


def _one_era(path: KeyPath, era: EraSettings) -> Iterator[Problem]:
    if era.ledger_end and era.ledger_end < era.ledger_start:
        yield Problem(
            (*path, "ledger_end"),
            f"{era.ledger_end} is before ledger_start, {era.ledger_start} (0 means no end)",
            depends_on=((*path, "ledger_start"),),
        )
    low, high = era.protocol_min, era.protocol_max
    if low is not None and high is not None and high < low:
        message = f"{high} is below protocol_min, {low}"
        yield Problem((*path, "protocol_max"), message, depends_on=((*path, "protocol_min"),))


#: The keys that each value of source.mode and storage.backend requires.
_REQUIRED = {
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


def _location_problems(settings: Settings) -> Iterator[Problem]:
    source, lock = settings.source, settings.storage.object_lock
    scheme = source.datastore_path.partition("://")[0] if "://" in source.datastore_path else ""
    if source.datastore_type and scheme and scheme != {"GCS": "gs", "S3": "s3"}[source.datastore_type]:
        message = f"{source.datastore_path!r} is not of datastore_type {source.datastore_type}"
        yield Problem(("source", "datastore_path"), message, depends_on=(("source", "datastore_type"),))
    if bool(lock.mode) != bool(lock.days):
        message = "object_lock needs both a mode (GOVERNANCE or COMPLIANCE) and days"
        yield Problem(("storage", "object_lock", "mode"), message, depends_on=(("storage", "object_lock", "days"),))
    for kind, required in _REQUIRED.items():
        section_name, switch = kind.split(".")
        section = getattr(settings, section_name)
        chosen = getattr(section, switch)
        for name in required[chosen]:
            if not getattr(section, name):
                message = f"is missing: {kind} {chosen} needs it{_MEANING.get(name, '')}"
                yield Problem((section_name, name), message, depends_on=((section_name, switch),))


def _secret_problems(settings: Settings) -> Iterator[Problem]:
    catalog, pas = settings.catalog, settings.pas
    for key, is_twice in (
        (("catalog", "postgres_dsn"), bool(catalog.postgres_dsn.get_secret_value() and catalog.postgres_dsn_secret)),
        (("pas", "endpoint"), bool(pas.endpoint and pas.endpoint_secret)),
    ):
        if is_twice:
            secret = (key[0], f"{key[1]}_secret")
            yield Problem(
                secret, f"says where {'.'.join(key)} is read, which is given too: leave out one", depends_on=(key,)
            )


def _authenticity_problems(settings: Settings) -> Iterator[Problem]:
    section, path = settings.authenticity, ("authenticity", "attestation")
    if section.attestation != "require":
        return
    if not section.validators:
        yield Problem(("authenticity", "validators"), "is missing: authenticity.attestation require needs it")
    if section.signatures == "off":
        message = "'require' needs signatures, which authenticity.signatures 'off' does not check"
        yield Problem(path, message, depends_on=(("authenticity", "signatures"),))
    if settings.source.verify != "full":
        message = "'require' needs source.verify full: else nothing shows which ledger a signed set follows"
        yield Problem(path, message, depends_on=(("source", "verify"),))


def _archive_problems(settings: Settings) -> Iterator[Problem]:
    section, path = settings.authenticity, ("authenticity", "archives")
    urls = section.archives
    if len(urls) > MAX_ARCHIVES:
        yield Problem(path, f"names {len(urls)} history archives, at most {MAX_ARCHIVES} are allowed")
    for index, url in enumerate(urls):
        if url in urls[:index]:
            yield Problem((*path, index), f"{url} is named twice: it would count as two that agree")
    if section.archives_agree > len(urls):
        message = f"{section.archives_agree} history archives cannot agree: authenticity.archives names {len(urls)}"
        yield Problem(("authenticity", "archives_agree"), message, depends_on=(path,))
    if section.archives_strict and not urls:
        message = "needs history archives: name them in authenticity.archives"
        yield Problem(("authenticity", "archives_strict"), message, depends_on=(path,))
