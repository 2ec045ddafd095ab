"""A library, preloaded into a process, with which chosen calls of the C library fail as on other file systems."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* FAIL_<CALL> is the number of the error that the call answers; unset, the call works. */
static int failure(const char *variable) {
    const char *value = getenv(variable);
    return value ? atoi(value) : 0;
}
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(variable) do { int e = failure(variable); if (e) { errno = e; return -1; } } while (0)

int flock(int fd, int operation) {
    FAIL("FAIL_FLOCK");
    /* NFS locks only what is open for writing */
    if (failure("FAIL_FLOCK_READ_ONLY") && !(operation & LOCK_UN) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
        errno = EBADF;
        return -1;
    }
    if (failure("FLOCK_DOES_NOTHING")) return 0;
    return NEXT(flock)(fd, operation);
}
int fsync(int fd) {
    struct stat found;
    if (fstat(fd, &found) == 0 && S_ISDIR(found.st_mode)) FAIL("FAIL_FSYNC_DIRECTORY");
    return NEXT(fsync)(fd);
}
int link(const char *from, const char *to) { FAIL("FAIL_LINK"); return NEXT(link)(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    FAIL("FAIL_LINK");
    return NEXT(linkat)(a, from, b, to, flags);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned int flags) {
    FAIL("FAIL_RENAMEAT2");
    return NEXT(renameat2)(a, from, b, to, flags);
}
"""


def build(folder: Path) -> Path:
    """Compile the library into `folder`; skips the test where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source, library = folder / "failing_calls.c", folder / "failing_calls.so"
    source.write_text(_SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def preloaded(library: Path, **failures: int) -> dict[str, str]:
    """Variables of a process in which ``FAIL_LINK=5`` and the like apply; see the library's source."""
    return {"LD_PRELOAD": str(library), **{name: str(number) for name, number in failures.items()}}
