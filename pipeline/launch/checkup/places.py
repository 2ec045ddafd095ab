"""Whether what a run writes to can be written to as it must."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable

from bronze.storage.location import StorageLocation
from bronze.storage.mounts import mount_of, read_mounts
from bronze.storage.opening import open_store
from pipeline.launch.checkup.check import FINDINGS, Check, holds, store_failure, unused, warning
from pipeline.settings.model import Settings


def check_place(
    name: str, setting: str, location_of: Callable[[Settings], StorageLocation | None], settings: Settings
) -> Check:
    """Try what a run does at one place: create, link, lock and synchronise, or conditional writes; leaves nothing.

    Args:
        setting: the section or key that names the place.
        location_of: what finds it; None when it is not used.
    """
    try:
        location = location_of(settings)
        if location is None:
            return unused(name, f"{setting.partition('.')[0]}.enabled is false")
        notices = open_store(location).check_conditional_writes()
    except FINDINGS as error:
        return store_failure(name, error, setting)
    if notices:
        return warning(name, "; ".join(notices), f"choose another place in {setting}, or accept it knowingly")
    if location.scheme == "local":
        mount = mount_of(os.path.realpath(location.path), read_mounts())
        where = f" (a file system {mount.kind} mounted at {mount.point})" if mount else ""
        return holds(name, f"{location.path}{where}: locks, create-only links and fsync work {access_words(location)}")
    return holds(name, f"{location.url}: objects can be written on conditions, and removed, {access_words(location)}")


def access_words(location: StorageLocation) -> str:
    """As whom a place that was opened is used, in words."""
    if location.scheme == "local":
        return f"as the user {_user()}"
    from bronze.storage.object_store.credentials import credentials_in_words

    return credentials_in_words(location)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as containers have
        return str(os.geteuid())
