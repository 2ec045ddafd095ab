"""One check: what was looked at, whether it holds, and what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bronze.errors import AccessDeniedError, BronzeError, DataError, StoreError

#: What is raised by what is looked at, as far as it is a finding and not a fault of this program.
FINDINGS = (BronzeError, OSError)


class Verdict(StrEnum):
    """What a check says.

    HOLDS: it was tried, and works.
    WARNING: it works, but less well than it should, or something will have to be done.
    FAILS: a run would fail, or would publish less than it promises.
    UNCHECKED: it could not be told.
    UNUSED: the settings do not ask for it.
    """

    HOLDS = "holds"
    WARNING = "warning"
    FAILS = "fails"
    UNCHECKED = "unchecked"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check.

    Attributes:
        name: one word, or two.
        found: what was found, without secrets.
        remedy: what to do; empty where there is nothing to be done.
    """

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def holds(name: str, found: str) -> Check:
    """A check that holds."""
    return Check(name=name, verdict=Verdict.HOLDS, found=found)


def warning(name: str, found: str, remedy: str) -> Check:
    """A check of what works less well than it should."""
    return Check(name=name, verdict=Verdict.WARNING, found=found, remedy=remedy)


def fails(name: str, found: str, remedy: str) -> Check:
    """A check that fails."""
    return Check(name=name, verdict=Verdict.FAILS, found=found, remedy=remedy)


def unchecked(name: str, found: str, remedy: str) -> Check:
    """A check that could not be made."""
    return Check(name=name, verdict=Verdict.UNCHECKED, found=found, remedy=remedy)


def unused(name: str, found: str) -> Check:
    """A check of what the settings do not ask for."""
    return Check(name=name, verdict=Verdict.UNUSED, found=found)


def store_failure(name: str, error: BaseException, setting: str) -> Check:
    """A check that failed with an error of a store.

    Args:
        setting: the section or key that names the store.
    """
    if isinstance(error, AccessDeniedError):
        remedy = "give these credentials the permissions that docs/object-stores.md lists, or provide other ones"
    elif isinstance(error, StoreError):
        remedy = f"is {setting} right, and is the service up and reachable from here (of a directory: the file system)?"
    elif isinstance(error, DataError) and error.where:
        remedy = f"restore that object from its source, or correct {setting}"
    elif isinstance(error, PermissionError):
        remedy = f"give this user the permission, or choose another place in {setting}"
    else:
        remedy = f"correct {setting}: docs/configuration.md, and docs/object-stores.md for buckets"
    return fails(name, str(error), remedy)
