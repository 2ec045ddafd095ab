"""A library, preloaded into a process, with which chosen calls of the C library fail as on other file systems.

Or at which the process is killed: at the n-th call of a kind on a file whose path holds a given text, whichever thread
makes it. (strace counts the calls of each thread, and names files only by their whole path.) Or stopped (SIGSTOP),
before or after such a call, or before or after it sends a given text.
"""

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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* FAIL_<CALL> is the number of the error that the call answers; unset, the call works. */
static int failure(const char *variable) {
    const char *value = getenv(variable);
    return value ? atoi(value) : 0;
}
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(variable) do { int e = failure(variable); if (e) { errno = e; return -1; } } while (0)

/* KILL_CALL, KILL_PATH, KILL_NUMBER: SIGKILL at the KILL_NUMBER-th KILL_CALL on a path that holds KILL_PATH. */
static int calls_seen = 0;
static void kill_at(const char *call, const char *path) {
    const char *kind = getenv("KILL_CALL"), *part = getenv("KILL_PATH"), *number = getenv("KILL_NUMBER");
    if (!kind || !part || !number || strcmp(kind, call) || !path || !strstr(path, part)) return;
    if (__sync_add_and_fetch(&calls_seen, 1) == atoi(number)) {
        const char *log = getenv("KILL_LOG");
        int fd = log ? open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
        if (fd >= 0) { if (write(fd, path, strlen(path)) < 0) {} close(fd); }
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}
static void kill_at_fd(const char *call, int fd) {
    char name[64], path[4096];
    const char *kind = getenv("KILL_CALL");
    if (!kind || strcmp(kind, call)) return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(name, path, sizeof path - 1);
    if (size > 0) { path[size] = 0; kill_at(call, path); }
}

/* STOP_CALL, STOP_TEXT, STOP_NUMBER, STOP_LOG: SIGSTOP at the STOP_NUMBER-th STOP_CALL whose path, or what it sends,
   holds STOP_TEXT; before it, unless STOP_AFTER is set. STOP_LOG is created first. Whether this is that call: */
static int stops_seen = 0;
static int is_stop(const char *call, const char *text, size_t size) {
    const char *kind = getenv("STOP_CALL"), *part = getenv("STOP_TEXT"), *number = getenv("STOP_NUMBER");
    if (!kind || !part || !number || strcmp(kind, call) || !memmem(text, size, part, strlen(part))) return 0;
    return __sync_add_and_fetch(&stops_seen, 1) == atoi(number);
}
static void stop(int is_hit, int after) {
    if (!is_hit || after != !!getenv("STOP_AFTER")) return;
    int before = errno, fd = open(getenv("STOP_LOG"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0) close(fd);
    kill(getpid(), SIGSTOP);
    errno = before;
}
#define STOPPING(kind, call, text, size, made) do { \
    int is_hit = is_stop(call, text, size); \
    stop(is_hit, 0); \
    kind result = (made); \
    stop(is_hit, 1); \
    return result; \
} while (0)
int unlink(const char *path) {
    kill_at("unlink", path);
    STOPPING(int, "unlink", path, strlen(path), NEXT(unlink)(path));
}
int rename(const char *from, const char *to) {
    STOPPING(int, "rename", to, strlen(to), NEXT(rename)(from, to));
}
ssize_t send(int fd, const void *data, size_t size, int flags) {
    STOPPING(ssize_t, "send", data, size, NEXT(send)(fd, data, size, flags));
}

int flock(int fd, int operation) {
    FAIL("FAIL_FLOCK");
    if (!(operation & LOCK_UN)) kill_at_fd("flock", fd);
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
    kill_at_fd("fsync", fd);
    return NEXT(fsync)(fd);
}
ssize_t write(int fd, const void *data, size_t size) {
    kill_at_fd("write", fd);
    return NEXT(write)(fd, data, size);
}
int link(const char *from, const char *to) {
    FAIL("FAIL_LINK");
    STOPPING(int, "link", to, strlen(to), NEXT(link)(from, to));
}
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


def preloaded(library: Path, **failures: int | str) -> dict[str, str]:
    """Variables of a process in which ``FAIL_LINK=5`` and the like apply; see the library's source."""
    return {"LD_PRELOAD": str(library), **{name: str(number) for name, number in failures.items()}}
