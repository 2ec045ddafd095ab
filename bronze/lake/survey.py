"""Which objects of a range a lake has, and their bytes, by listings alone: one for each directory, in pages.

What is listed at once is a window: at most so many files of one directory. Windows are listed by several threads, and
come in ledger order; memory is that of a few windows, whatever the range.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from itertools import islice

from bronze.lake.layout import LakeLayout, parse_object
from bronze.stellar import MAX_LEDGER
from bronze.storage.store import Store

#: Names that one request to an object store lists.
PAGE_NAMES = 1000
#: Files of a window in a bucket. On disks a directory is read as a whole, so there a window is a directory.
_WINDOW_FILES = 64_000
#: Windows that are listed at once.
_THREADS = 8
#: What was seen of each file: its object under either extension, and one of no bytes.
_OLD, _NEW, _EMPTY = 1, 2, 4
_MISSING = re.compile(rb"\x00+")
_EMPTIES = re.compile(rb"[\x04-\x07]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCount:
    """What a listing shows of the files of a window. Files are given by the first ledgers of their names.

    Attributes:
        files: the window.
        found: files whose object is there, under either extension.
        size_bytes: of all objects of these files as stored, those under both extensions twice.
        doubles: files whose object is there under both extensions.
        missing, empty: the runs of files without an object, and of files with an object of 0 bytes; in ledger order.
    """

    files: range
    found: int
    size_bytes: int
    doubles: int
    missing: Sequence[range]
    empty: Sequence[range]


def count_objects(store: Store, layout: LakeLayout, files: Iterable[range]) -> Generator[WindowCount, None, None]:
    """Count the objects of `files` in the lake in `store`, window by window, in the order of `files`.

    Args:
        files: ranges of the first ledgers of files, as `Lake.file_starts` gives them.
    """
    windows = iter(_windows(layout, files, most=_WINDOW_FILES if store.is_remote else None))
    pending: deque[Future[WindowCount]] = deque()
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="list")

    def begin() -> None:
        for window in islice(windows, 1):
            pending.append(pool.submit(copy_context().run, _count_window, store, layout, window))

    try:
        for _ in range(2 * _THREADS):
            begin()
        while pending:
            yield pending.popleft().result()
            begin()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def spread_files(layout: LakeLayout, files: Sequence[range], *, samples: int, most: int) -> list[range]:
    """Ranges of at most `most` files each, `samples` of them, evenly spread over `files`, each in one directory."""
    total = sum(map(len, files))
    found: list[range] = []
    before, number = 0, 0
    for one in files:
        while number < samples and (at := total * (2 * number + 1) // (2 * samples)) < before + len(one):
            # The first of the windows behind `at`, or what is left of its directory.
            window = next(_windows(layout, [one[at - before :]], most=most), None)
            if window is not None and not (found and window[0] <= found[-1][-1]):
                found.append(window)
            number += 1
        before += len(one)
    return found


def _windows(layout: LakeLayout, files: Iterable[range], *, most: int | None) -> Iterator[range]:
    """Cut `files` into windows of at most `most` files, each in one directory."""
    step, has_directories = layout.ledgers_per_file, layout.files_per_directory > 1
    size = step * layout.files_per_directory
    for one in files:
        at = 0
        while at < len(one):
            end = len(one)
            if has_directories:
                end = min(end, at + (size - one[at] % size) // step)
            if most is not None:
                end = min(end, at + most)
            yield one[at:end]
            at = end


def _count_window(store: Store, layout: LakeLayout, files: range) -> WindowCount:
    seen, size_bytes, step = bytearray(len(files)), 0, layout.ledgers_per_file
    last = f"{MAX_LEDGER - files[0]:08X}~"
    directory = layout.directory(files[0]).removesuffix("/")
    # Names sort from the newest to the oldest; what comes after this begins with the window's newest ledger.
    with closing(store.list_objects(directory, after=f"{MAX_LEDGER - files[-1]:08X}")) as listed:
        for entry in listed:
            if entry.name > last:
                break
            name = parse_object(entry.name)
            if name is None or name.start not in files or name.end != layout.file_end(name.start):
                continue
            size_bytes += entry.size
            at = (name.start - files.start) // step
            seen[at] |= (_NEW if name.extension == "zst" else _OLD) | (0 if entry.size else _EMPTY)
    missing, empty = ([files[run.start() : run.end()] for run in kind.finditer(seen)] for kind in (_MISSING, _EMPTIES))
    return WindowCount(
        files=files,
        found=len(files) - seen.count(0),
        size_bytes=size_bytes,
        doubles=sum(seen.count(_OLD | _NEW | empties) for empties in (0, _EMPTY)),
        missing=missing,
        empty=empty,
    )
