"""Publishing of files: a locked temporary file that gets its final name in one step, without ever replacing another."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from bronze.errors import ConfigError, ObjectExistsError
from bronze.storage.disk_space import full_disk_named
from bronze.storage.posix import (
    create_owned_file,
    make_durable_directories,
    rename_without_replacing,
    sync_directory,
)

#: Instead of a descriptor.
_ENDED = -1
#: Smaller pieces are written together with what follows them. A parquet file has a dozen for each of its large pages.
_SMALL_PIECE = 32 * 1024
#: What a hard link answers on file systems without hard links, or that cannot make this one; some services say EIO.
_NO_LINK = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK, errno.EIO})
#: What `rename_without_replacing` answers where it does not work.
_NO_RENAME = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EIO})


class LocalUpload:
    """A locked temporary file in `folder` that becomes `final`; see `bronze.storage.store.Upload`.

    Raises:
        DiskFullError: there is no space left, as every method does.
    """

    def __init__(self, folder: Path, final: Path) -> None:
        self._final = final
        with full_disk_named(final):
            self._temporary, self._handle = create_owned_file(folder, final.name)
        self._gathered = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `bronze.storage.store.Upload`.

        Small pieces are written with later ones, or by `publish`; so are their errors raised.
        """
        if self._handle == _ENDED:
            raise ValueError(f"the upload of {self._final} has ended")
        view = memoryview(data).cast("B")
        if len(view) < _SMALL_PIECE and len(self._gathered) < _SMALL_PIECE:
            self._gathered += view
        else:
            self._write_gathered()
            self._write_whole(view)
        return len(view)

    def _write_gathered(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        self._write_whole(memoryview(gathered))

    def _write_whole(self, piece: memoryview) -> None:
        at = 0
        with full_disk_named(self._final):
            while at < len(piece):
                at += os.write(self._handle, piece[at:])

    def publish(self, *, replace: bool = False, checksum: str = "") -> None:
        """See `bronze.storage.store.Upload`.

        Raises:
            ConfigError: the file system cannot do what creating a file without replacing another one needs.
        """
        self._write_gathered()
        with full_disk_named(self._final):
            self._publish(replace=replace)

    def _publish(self, *, replace: bool) -> None:
        os.fsync(self._handle)
        make_durable_directories(self._final.parent)
        try:
            if replace:
                self._temporary.replace(self._final)
            else:
                create_name(self._temporary, self._final)
        except FileExistsError as error:
            # The caller will take the existing file for published, so it has to be durable.
            sync_directory(self._final.parent)
            raise ObjectExistsError(f"{self._final} exists already") from error
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise ConfigError(
                    f"{self._final.parent} is on another file system than {self._temporary.parent}, where files are"
                    f" prepared ({'rename' if replace else 'link'} answers EXDEV): mount one file system at the root of"
                    " the store, or start again if it was mounted just now"
                ) from error
            raise
        sync_directory(self._final.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Unlinked before it is unlocked: a cleaner that gets the lock finds nothing.
        with contextlib.suppress(FileNotFoundError):
            self._temporary.unlink()
        # A caller that still holds the upload must not write into the next file that gets the same descriptor.
        handle, self._handle = self._handle, _ENDED
        os.close(handle)
        with contextlib.suppress(OSError):  # another writer's file is there still
            self._temporary.parent.rmdir()


def create_name(temporary: Path, final: Path) -> None:
    """Give the file `temporary` the name `final`, unless that names a file already; atomically.

    By a hard link. Where the file system has none, the file is renamed without replacing.

    Raises:
        FileExistsError: there is a file.
        ConfigError: the file system can do neither.
    """
    try:
        os.link(temporary, final)
    except OSError as error:
        if error.errno not in _NO_LINK or has_hard_links(temporary):
            raise
        try:
            rename_without_replacing(temporary, final)
        except OSError as other:
            if other.errno not in _NO_RENAME:
                raise
            raise ConfigError(
                f"the file system of {final.parent} has no hard links (link of {final} answers {error.strerror}) and"
                f" cannot rename without replacing (renameat2 answers {other.strerror}), one of which creating a file"
                " without ever replacing another one needs: choose a directory on another file system"
            ) from error


def has_hard_links(file: Path) -> bool:
    """Whether a hard link to the existing `file` can be made in its own directory; none is left there."""
    other = file.with_name(f"probe.{secrets.token_hex(8)}")
    try:
        os.link(file, other)
    except OSError:
        return False
    with contextlib.suppress(FileNotFoundError):  # a cleaner may have been faster
        other.unlink()
    return True
