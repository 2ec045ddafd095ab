"""The store on a file system: the suite of all stores, and what only file systems can show."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import multiprocessing
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bronze.errors import (
    ConfigError,
    DiskFullError,
    LockedError,
    NotAnObjectError,
    ObjectExistsError,
    ObjectTooLargeError,
    is_transient,
)
from bronze.storage import local_upload
from bronze.storage.local import LocalStore
from bronze.storage.store import TEMPORARY
from tests.bronze.storage.store_suite import RACERS, Opener, StoreSuite

REPOSITORY = Path(__file__).parents[3]


class TestLocalStore(StoreSuite):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Opener:
        return lambda: LocalStore(tmp_path / "not" / "there yet")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "root")


@contextlib.contextmanager
def python(code: str, *arguments: object, **popen: object) -> Iterator[subprocess.Popen[str]]:
    """Run `code` in a Python of its own that knows `LocalStore`; killed at the end at the latest."""
    preamble = "import sys\nfrom bronze.storage.local import LocalStore\n"
    preamble += "from bronze.errors import *; a = sys.argv[1:]\n"
    process = subprocess.Popen(
        [sys.executable, "-c", preamble + code, *map(str, arguments)],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen,  # type: ignore[call-overload]
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


def test_exactly_one_of_many_processes_wins(store: LocalStore) -> None:
    code = """
print("ready", flush=True); sys.stdin.readline()
for number in range(20):
    try: LocalStore(a[0]).create(f"k/{number}", a[1].encode()); print(number)
    except ObjectExistsError: pass
"""
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(python(code, store.root, racer)) for racer in range(RACERS)]
        assert {line(racer) for racer in racers} == {"ready"}
        for racer in racers:
            tell(racer)
        won = [(number, winner) for winner, racer in enumerate(racers) for number in racer.communicate()[0].split()]
    assert sorted(number for number, _ in won) == sorted(map(str, range(20)))
    assert all(store.read(f"k/{number}") == str(winner).encode() for number, winner in won)
    assert below(store.root) == sorted(f"k/{number}" for number in range(20))


UPLOADER = """
with LocalStore(a[0]).upload("data/part.parquet") as upload:
    upload.write(b"half of it"); print("written", flush=True); sys.stdin.readline(); upload.publish()
print("published", flush=True)
"""


def test_cleanup_removes_only_dead_writers_files(store: LocalStore) -> None:
    with python(UPLOADER, store.root) as dead, python(UPLOADER, store.root) as alive:
        assert line(dead) == line(alive) == "written"
        assert store.remove_leftovers() == []
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        assert len(below(store.root)) == 2
        (removed,) = store.remove_leftovers()
        assert removed.startswith(f"{TEMPORARY}/part.parquet.")
        assert len(below(store.root)) == 1
        tell(alive)
        assert line(alive) == "published"
        alive.wait()
    assert below(store.root) == ["data/part.parquet"]
    assert not (store.root / TEMPORARY).exists()


def test_writer_killed_after_publishing_has_published(store: LocalStore) -> None:
    code = """
with LocalStore(a[0]).upload("x") as upload:
    upload.write(b"whole"); upload.publish(); print("published", flush=True); sys.stdin.readline()
"""
    with python(code, store.root) as process:
        assert line(process) == "published"
        process.kill()
        process.wait()
    assert len(store.remove_leftovers()) == 1
    assert store.read("x") == b"whole"
    assert below(store.root) == ["x"]


@pytest.mark.parametrize("call", ["link", "fsync"])
def test_writer_killed_before_link_has_published_nothing(store: LocalStore, call: str) -> None:
    # strace kills it right before the call takes effect; fsync comes once for each new directory, then for the file
    code = "import os; os.makedirs(f'{a[0]}/_temporary'); LocalStore(a[0]).create('x', b'whole')"
    tracer = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL"]
    preamble = "import sys; from bronze.storage.local import LocalStore; a = sys.argv[1:]\n"
    if subprocess.run(["sh", "-c", "command -v strace"], capture_output=True, check=False).returncode:
        pytest.skip("strace is not installed")
    subprocess.run([*tracer, sys.executable, "-c", preamble + code, str(store.root)], cwd=REPOSITORY, check=False)
    assert not store.path("x").exists()
    assert len(store.remove_leftovers()) == 1
    assert below(store.root) == []


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        # content, then the name, then the directory that holds the name
        ("create('x', b'1')", ["fsync file", "link", "fsync root"]),
        ("replace('x', b'1')", ["fsync file", "rename", "fsync root"]),
        # new directories are made durable from the top, before anything is in them
        ("create('p/q/x', b'1')", ["fsync file", "fsync root", "fsync p", "link", "fsync q"]),
    ],
)
def test_steps_of_publishing_are_in_durable_order(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, use: str, expected: list[str]
) -> None:
    store.root.mkdir()
    (store.root / TEMPORARY).mkdir()
    steps: list[str] = []
    fsync, link, replace = os.fsync, os.link, Path.replace

    def name(handle: int) -> str:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))  # noqa: PTH115
        return path.name if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"

    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append(f"fsync {name(handle)}"), fsync(handle)))
    monkeypatch.setattr(os, "link", lambda *paths: (steps.append("link"), link(*paths)))
    monkeypatch.setattr(Path, "replace", lambda *paths: (steps.append("rename"), replace(*paths)))
    eval(f"store.{use}")
    assert steps == expected


def test_lock_of_killed_holder_is_free(store: LocalStore) -> None:
    code = "with LocalStore(a[0]).lock('p'): print('held', flush=True); sys.stdin.readline()"
    waiter = "print('waiting', flush=True)\nwith LocalStore(a[0]).lock('p'): print('got it', flush=True)"
    with python(code, store.root) as holder:
        assert line(holder) == "held"
        with python(waiter, store.root) as waiting:
            assert line(waiting) == "waiting"
            assert waiting.poll() is None
            holder.send_signal(signal.SIGKILL)
            assert line(waiting) == "got it"


def test_forked_process_does_not_keep_the_lock(store: LocalStore) -> None:
    context = multiprocessing.get_context("fork")
    end = context.Event()
    with store.lock("p"):
        child = context.Process(target=end.wait)
        child.start()
    try:
        with python("with LocalStore(a[0]).lock('p'): print('got it', flush=True)", store.root) as other:
            assert line(other) == "got it"
    finally:
        end.set()
        child.join()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_full_disk_publishes_nothing(small_disk: Path) -> None:
    store = LocalStore(small_disk)
    store.create("small", b"x")
    says = (
        f"{small_disk}/a/large cannot be written: No space left on device: .* MB of .* are free on the file system of"
    )
    with pytest.raises(DiskFullError, match=says):
        store.create("a/large", bytes(1 << 20))
    assert below(small_disk) == ["small"]
    store.create("a/fits", bytes(1000))  # and the room is there again


def test_file_size_limit_publishes_nothing(store: LocalStore) -> None:
    code = """
import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try: LocalStore(a[0]).create("large", bytes(5000))
except OSError as error: print(error.errno, flush=True)
"""
    with python(code, store.root) as process:
        assert line(process) == str(errno.EFBIG)
    assert below(store.root) == []


def test_read_only_directory_is_permission_error(tmp_path: Path) -> None:
    root = tmp_path / "root"
    LocalStore(root).create("a", b"x")
    code = """
import os
if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)
for key in ("b", "p/c"):
    try: LocalStore(a[0]).create(key, b"x")
    except OSError as error: print(type(error).__name__, flush=True)
print(LocalStore(a[0]).read("a").decode(), LocalStore(a[0]).remove_leftovers(), flush=True)
"""
    for parent in [parent for parent in root.parents if parent.stat().st_uid == os.geteuid() and parent != Path("/")]:
        parent.chmod(parent.stat().st_mode | 0o111)  # the way there may be walked by all
    root.chmod(0o555)
    try:
        with python(code, root) as process:
            assert [line(process) for _ in range(3)] == ["PermissionError", "PermissionError", "x []"]
    finally:
        root.chmod(0o755)
    assert below(root) == ["a"]


def test_file_removed_before_locking_is_created_again(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    flock, cleaned = fcntl.flock, []

    def first_a_cleaner(handle: int, operation: int) -> None:
        if not cleaned:
            cleaned.append(True)
            cleaned.extend(store.remove_leftovers())
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", first_a_cleaner)
    store.create("a", b"x")
    assert len(cleaned) == 2
    assert below(store.root) == ["a"]


def test_cleanup_leaves_foreign_things_alone(store: LocalStore, tmp_path: Path) -> None:
    folder = store.root / TEMPORARY
    (folder / "0" / "task_0").mkdir(parents=True)  # as Spark's committers name it
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "kept.0123456789abcdef").write_bytes(b"x")
    (folder / "linked.0123456789abcdef").symlink_to(tmp_path / "target")
    (folder / "file.0123456789abcdef").symlink_to(tmp_path / "target" / "kept.0123456789abcdef")
    (folder / "dangling.0123456789abcdef").symlink_to(tmp_path / "missing")
    (folder / "directory.0123456789abcdef").mkdir()
    os.mkfifo(folder / "fifo.0123456789abcdef")
    (folder / "notes.txt").write_bytes(b"mine")
    (folder / "left.0123456789abcdef").write_bytes(b"of a dead run")
    before = sorted(path.name for path in folder.iterdir())

    assert store.remove_leftovers() == [f"{TEMPORARY}/left.0123456789abcdef"]
    assert sorted([*(path.name for path in folder.iterdir()), "left.0123456789abcdef"]) == before
    assert (tmp_path / "target" / "kept.0123456789abcdef").read_bytes() == b"x"

    store.create("a", b"x")  # and it can be used all the same
    with store.lock():
        store.update("a", lambda old: b"y")
    assert store.read("a") == b"y"


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "file"])
def test_temporary_directory_that_is_none_is_refused(store: LocalStore, tmp_path: Path, kind: str) -> None:
    store.root.mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "kept.0123456789abcdef").write_bytes(b"x")
    place = store.root / TEMPORARY
    match kind:
        case "link":
            place.symlink_to(tmp_path / "target")
        case "dangling":
            place.symlink_to(tmp_path / "missing")
        case "fifo":
            os.mkfifo(place)
        case _:
            place.write_bytes(b"mine")
    assert store.remove_leftovers() == []
    for use in (lambda: store.create("a", b"x"), store.check_conditional_writes):
        with pytest.raises(ConfigError, match=f"{place} is .*it must be a directory of its own"):
            use()
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["kept.0123456789abcdef"]
    assert [path.name for path in store.root.iterdir()] == [TEMPORARY]


@pytest.mark.skipif(os.geteuid() != 0, reason="files of another user need root")
def test_leftovers_of_another_user_stop_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "root"
    folder = root / TEMPORARY
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"left.{number:016x}").write_bytes(b"x")
    for parent in [parent for parent in root.parents if parent.stat().st_uid == os.geteuid() and parent != Path("/")]:
        parent.chmod(parent.stat().st_mode | 0o111)
    root.chmod(0o777)
    folder.chmod(0o1777)  # sticky: only the owner may remove a file
    os.chown(folder / f"left.{1:016x}", 65534, 65534)
    code = """
import os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
store = LocalStore(a[0])
print(store.remove_leftovers(), flush=True)
store.create("b", b"x")
with store.lock(): print("locked", flush=True)
"""
    with python(code, root) as process:
        assert line(process) == f"['{TEMPORARY}/left.{1:016x}']"
        assert line(process) == "locked"
        assert process.wait() == 0
    assert LocalStore(root).read("b") == b"x"


def test_lock_names_its_stopped_holder(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.storage.local.LOCK_WAIT_S", 1.0)
    code = "with LocalStore(a[0]).lock('p'): print('held', flush=True); sys.stdin.readline()"
    with python(code, store.root) as holder:
        assert line(holder) == "held"
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(LockedError, match=f"{store.root}/p is locked by process {holder.pid} on "), store.lock("p"):
            pass


def test_update_names_its_stopped_holder(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.storage.local.LOCK_WAIT_S", 1.0)
    code = "LocalStore(a[0]).update('k', lambda old: (print('held', flush=True), sys.stdin.readline()) and b'x')"
    with python(code, store.root) as holder:
        assert line(holder) == "held"
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(LockedError, match=f"{store.root}/other is locked by process {holder.pid} on "):
            store.update("other", lambda old: b"y")
    assert store.size("other") is None


# Decided: a symbolic link is followed as long as it stays below the root. Operators mount large directories from
# other disks there; a link out of the root would let whoever writes a lake choose what this program reads.
def test_symbolic_links_within_the_root_are_followed(store: LocalStore) -> None:
    store.create("real/a", b"x")
    (store.root / "linked").symlink_to("real")
    store.create("linked/b", b"y")
    assert (store.read("linked/a"), store.read("real/b"), store.size("linked/a")) == (b"x", b"y", 1)
    assert [(entry.name, entry.is_prefix) for entry in store.list_children("")] == [("linked", True), ("real", True)]
    assert len(list(store.list_children("linked"))) == 2


def test_root_may_be_a_symbolic_link(tmp_path: Path) -> None:
    for name in ("one", "two"):
        LocalStore(tmp_path / name).create("a", name.encode())
    (tmp_path / "root").symlink_to("one")
    store = LocalStore(tmp_path / "root")
    assert store.read("a") == b"one"
    (tmp_path / "root").unlink()
    (tmp_path / "root").symlink_to("two")  # a new release of the lake, for example
    assert store.read("a") == b"two"
    store.create("b", b"x")
    assert (tmp_path / "two" / "b").read_bytes() == b"x"


def test_symbolic_links_out_of_the_root_are_refused(store: LocalStore, tmp_path: Path) -> None:
    outside = tmp_path / "root-of-another"  # begins like the root
    outside.mkdir()
    (outside / "a").write_bytes(b"secret")
    store.create("p/kept", b"x")
    (store.root / "directory").symlink_to(outside)
    (store.root / "file").symlink_to(outside / "a")
    (store.root / "p" / "relative").symlink_to("../../root-of-another/a")
    for key in ("directory/a", "file", "p/relative"):
        for use in (store.read, store.read_view, store.open_read, store.size):
            with pytest.raises(NotAnObjectError, match=f"leads to {outside}/a, out of {store.root}") as caught:
                use(key)
            assert not is_transient(caught.value)
    for write in (lambda: store.create("directory/b", b"x"), lambda: store.delete("directory/a")):
        with pytest.raises(NotAnObjectError, match="out of"):
            write()
    with pytest.raises(NotAnObjectError, match="out of"):
        list(store.list_children("directory"))
    assert [path.name for path in outside.iterdir()] == ["a"]


def test_only_regular_files_are_objects(store: LocalStore) -> None:
    store.create("kept", b"x")
    os.mkfifo(store.root / "fifo")
    (store.root / "circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{os.path.relpath(store.root)}/socket")
    (store.root / "zero").symlink_to("/dev/zero")
    for key in ("fifo", "circle", "socket", "zero"):
        for use in (store.read, store.open_read, store.size):
            with pytest.raises(
                NotAnObjectError, match=f"{store.root}/{key} (is not a regular file|leads to /dev/zero)"
            ):
                use(key)


def test_size_needs_no_right_to_read(store: LocalStore) -> None:
    store.create("a", b"abc")
    store.path("a").chmod(0)
    handles = len(list(Path("/proc/self/fd").iterdir()))
    assert [store.size(key) for key in ("a", "a/b", "missing")] == [3, None, None]
    assert len(list(Path("/proc/self/fd").iterdir())) == handles


def test_link_that_leads_nowhere_is_named(store: LocalStore) -> None:
    """Its volume may not be mounted: nothing is written in its place as if nothing had been there."""
    store.create("kept", b"x")
    (store.root / "dangling").symlink_to("/nothing/there")
    for use in (store.read, store.open_read, store.size):
        with pytest.raises(NotAnObjectError, match=f"{store.root}/dangling is a symbolic link to /nothing/there"):
            use("dangling")


def test_listing_tells_odd_things_from_objects(store: LocalStore, tmp_path: Path) -> None:
    store.create("p/object", b"x")
    store.create("p/directory/x", b"x")
    (store.root / "p" / "link").symlink_to("object")
    (tmp_path / "outside").write_bytes(b"x")
    (store.root / "p" / "out").symlink_to(tmp_path / "outside")
    (store.root / "p" / "dangling").symlink_to("/nothing/there")
    (store.root / "p" / "circle").symlink_to("circle")
    os.mkfifo(store.root / "p" / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{os.path.relpath(store.root)}/p/socket")
    found = list(store.list_children("p"))
    assert {entry.name for entry in found if entry.is_odd} == {"out", "dangling", "circle", "fifo", "socket"}
    assert {entry.name for entry in found if not entry.is_odd} == {"object", "directory", "link"}
    assert dict(store.list_directories(""))["p"] == {"object", "link", "directory/"}


@pytest.mark.skipif(os.geteuid() != 0, reason="device nodes need root")
def test_devices_are_not_read(store: LocalStore) -> None:
    store.root.mkdir()
    try:
        os.mknod(store.root / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no device node can be made here")
    with pytest.raises(NotAnObjectError, match=r"zero (is not a regular file|cannot)"):
        store.read("zero")


def test_huge_file_is_refused_before_reading(store: LocalStore) -> None:
    store.create("a", b"x")
    os.truncate(store.path("a"), 3 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for use in (store.read, store.read_view):
        with pytest.raises(ObjectTooLargeError, match="has 3221225472 bytes, more than the 1000 allowed"):
            use("a", 1000)
    with pytest.raises(ObjectTooLargeError):
        store.update("a", lambda old: b"y")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_symbolic_link_is_never_written_through(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    store.root.mkdir()
    store.path("a").symlink_to(tmp_path / "victim")
    with pytest.raises(ObjectExistsError):
        store.create("a", b"x")
    store.replace("a", b"y")  # takes the link's place
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert store.read("a") == b"y"


def test_relative_root_is_resolved_at_creation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStore("here")
    monkeypatch.chdir("/")
    store.create("a", b"x")
    assert (tmp_path / "here" / "a").read_bytes() == b"x"


def test_longest_file_name_is_accepted(store: LocalStore) -> None:
    store.create("n" * 255, b"x")
    assert store.read("n" * 255) == b"x"
    with pytest.raises(OSError, match="File name too long"):
        store.create("n" * 256, b"x")
    assert below(store.root) == ["n" * 255]


def test_every_descriptor_is_closed(store: LocalStore) -> None:
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = handles()
    for _ in range(20):
        store.replace("a", b"x")
        with contextlib.suppress(ObjectExistsError):
            store.create("a", b"x")
        store.read("a")
        store.remove_leftovers()
        with store.lock("p"):
            assert list(store.list_children("p")) == []
    assert handles() == before


def test_umask_decides_permissions(store: LocalStore) -> None:
    old = os.umask(0o027)
    try:
        store.create("p/a", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE(store.path("p/a").stat().st_mode) == 0o640


def test_many_files_need_few_descriptors(store: LocalStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64 + len(os.listdir("/proc/self/fd")), hard))  # noqa: PTH208
    try:
        for number in range(100):
            store.create(f"{number}/a", b"x")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_updates_of_many_processes_are_never_lost(store: LocalStore) -> None:
    code = """
print("ready", flush=True); sys.stdin.readline()
for number in range(30):
    with LocalStore(a[0]).lock(""):
        LocalStore(a[0]).update("counter", lambda old: b"%d" % (int(old or b"0") + 1))
        LocalStore(a[0]).remove_leftovers()
"""
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(python(code, store.root)) for _ in range(4)]
        assert {line(racer) for racer in racers} == {"ready"}
        for racer in racers:
            tell(racer)
        assert [racer.wait() for racer in racers] == [0] * 4
    assert store.read("counter") == b"120"
    assert below(store.root) == ["counter"]


def test_object_that_grows_meanwhile_stays_bounded(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("a", bytes(10))
    opened = store._directory.open
    monkeypatch.setattr(store._directory, "open", lambda key: (opened(key)[0], 1))  # its size a moment ago
    with pytest.raises(ObjectTooLargeError, match="more than the 5 bytes allowed"):
        store.read("a", 5)
    assert store.read("a", 10) == bytes(10)


def test_found_file_is_durable_before_it_is_reported(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("folder/a", b"1")
    synced: list[Path] = []
    monkeypatch.setattr(local_upload, "sync_directory", synced.append)
    with store.upload("folder/a") as upload:
        upload.write(b"2")
        with pytest.raises(ObjectExistsError):
            upload.publish()
    assert synced == [store.root / "folder"]
