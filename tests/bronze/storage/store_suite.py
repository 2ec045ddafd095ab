"""What every store promises (`bronze.storage.store.Store`), as one suite run against each backend.

A backend's test module subclasses `StoreSuite` and gives it the fixture ``open_store``: a function that
opens the same place again, with a connection of its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bronze.errors import (
    LockedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreError,
    is_transient,
)
from bronze.storage.store import TEMPORARY, Change, ListEntry, Store, checked_key, join

Opener = Callable[[], Store]
RACERS = 16

#: Keys that leave the root, or mean no object.
BAD_KEYS = [
    "",
    "/",
    "/etc/passwd",  # absolute
    "..",
    "../x",
    "a/../../x",
    "a/../b",  # stays inside, but two keys would mean one object
    "./a",
    "a//b",  # an empty segment: object stores tell a//b from a/b, file systems don't
    "a/",
    "a\0b",
    "a\\b",
    "..\\x",
    "a\nb",
    "a\x7f",
]


def race(racers: int, run: Callable[[int], object]) -> list[object]:
    """Run `run` in as many threads, all let loose at once; results or the exceptions raised."""
    barrier = threading.Barrier(racers)

    def one(number: int) -> object:
        barrier.wait()
        try:
            return run(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(racers) as pool:
        return list(pool.map(one, range(racers)))


def keys_of(store: Store, prefix: str = "") -> list[str]:
    """Every key below `prefix`, temporary ones too."""
    found = []
    for entry in store.list_children(prefix):
        key = join(prefix, entry.name)
        found.extend(keys_of(store, key) if entry.is_prefix else [key])
    return found


class StoreSuite:
    #: Whether a reader keeps the object it has opened when that is replaced; if not, it gets an error, never a mixture.
    open_readers_keep_the_object: ClassVar[bool] = True

    @pytest.fixture
    def store(self, open_store: Opener) -> Store:
        return open_store()

    def test_empty_store_has_no_objects(self, store: Store) -> None:
        assert list(store.list_children("")) == []
        assert list(store.list_children("no/such")) == []
        assert store.size("x") is None
        assert store.remove_leftovers() == []
        store.delete("x")
        for read in (store.read, store.open_read):
            with pytest.raises(ObjectNotFoundError, match="x"):
                read("x")

    @pytest.mark.parametrize("data", [b"", b"\0", b"x" * 100_000])
    def test_created_object_is_read_back(self, store: Store, data: bytes) -> None:
        store.create("a/b/c", data)
        assert store.read("a/b/c") == data
        assert store.size("a/b/c") == len(data)
        assert keys_of(store) == ["a/b/c"]

    def test_create_never_replaces_an_object(self, store: Store) -> None:
        store.create("a/b", b"first")
        with pytest.raises(ObjectExistsError, match="a/b") as caught:
            store.create("a/b", b"second")
        assert not is_transient(caught.value)
        assert store.read("a/b") == b"first"
        assert keys_of(store) == ["a/b"]

    def test_replace_creates_and_replaces(self, store: Store) -> None:
        store.replace("a/b", b"first, and longer")
        store.replace("a/b", b"second")
        assert store.read("a/b") == b"second"
        assert keys_of(store) == ["a/b"]

    def test_deleted_object_can_be_created_again(self, store: Store) -> None:
        store.create("a/b", b"x")
        store.delete("a/b")
        store.delete("a/b")
        assert store.size("a/b") is None
        store.create("a/b", b"again")
        assert store.read("a/b") == b"again"

    def test_prefix_is_not_an_object(self, store: Store) -> None:
        store.create("a/b", b"x")
        assert store.size("a") is None
        for read in (store.read, store.open_read):
            with pytest.raises(ObjectNotFoundError):
                read("a")

    def test_key_below_an_object_is_missing(self, store: Store) -> None:
        store.create("a", b"x")
        assert store.size("a/b") is None
        with pytest.raises(ObjectNotFoundError):
            store.read("a/b")
        store.delete("a/b")
        assert store.read("a") == b"x"

    def test_children_are_direct_and_sorted(self, store: Store) -> None:
        for key in ("p/b/1", "p/b/2", "p/a", "p/c", "p/B", "p/b.txt", "q", "pp/x"):
            store.create(key, b"x")
        found = list(store.list_children("p"))
        assert found == [
            ListEntry("B", False),
            ListEntry("a", False),
            ListEntry("b", True),
            ListEntry("b.txt", False),
            ListEntry("c", False),
        ]
        assert [entry.name for entry in store.list_children("")] == ["p", "pp", "q"]
        assert list(store.list_children("q")) == []  # an object has no children
        assert [entry.name for entry in store.list_children("", after="p")] == ["pp", "q"]
        assert [entry.name for entry in store.list_children("", after="pz")] == ["q"]

    def test_objects_are_listed_with_sizes(self, store: Store) -> None:
        for number, key in enumerate(("p/c", "p/b.txt", "p/b/1", "p/b/2", "p/a/deep/3", "p/B", "pp/x", "q")):
            store.create(key, b"x" * number)
        found = [("B", 5), ("b.txt", 1), ("c", 0)]
        assert [(one.name, one.size) for one in store.list_objects("p")] == found
        assert [one.name for one in store.list_objects("p", after="b")] == ["b.txt", "c"]
        assert [one.name for one in store.list_objects("")] == ["q"]
        assert [*store.list_objects("q"), *store.list_objects("no/such")] == []

    def test_directories_are_listed_with_their_objects(self, store: Store) -> None:
        for key in ("p/b/1", "p/b/2", "p/b/deep/3", "p/a", "p/B/x", "p/b.d/y", "q/z", "pp/x/1"):
            store.create(key, b"x")
        assert list(store.list_directories("p")) == [
            ("B", frozenset({"x"})),
            ("b", frozenset({"1", "2", "deep/"})),
            ("b.d", frozenset({"y"})),
        ]
        assert [name for name, _ in store.list_directories("") if name != TEMPORARY] == ["p", "pp", "q"]
        assert list(store.list_directories("p/a")) == list(store.list_directories("none")) == []

    def test_opened_object_is_seekable(self, store: Store) -> None:
        store.create("a", b"0123456789")
        file = store.open_read("a")
        assert file.read(3) == b"012"
        assert file.tell() == 3
        assert file.seek(-2, 2) == 8
        assert file.read() == b"89"
        assert file.read(1) == b""
        assert not file.closed
        file.close()
        assert file.closed

    def test_replaced_object_is_never_read_mixed(self, store: Store) -> None:
        store.create("a", b"old" * 1000)
        file = store.open_read("a")
        store.replace("a", b"new" * 1000)
        if self.open_readers_keep_the_object:
            assert file.read() == b"old" * 1000
        else:
            with pytest.raises(StoreError, match="a was replaced"):
                file.read()
        file.close()

    def test_read_above_max_bytes_is_refused(self, store: Store) -> None:
        store.create("a/b", b"12345")
        assert store.read("a/b", 5) == b"12345"
        with pytest.raises(ObjectTooLargeError, match=r"a/b has 5 bytes, more than the 4") as caught:
            store.read("a/b", 4)
        assert not is_transient(caught.value)

    def test_view_keeps_the_bytes_read(self, store: Store) -> None:
        store.create("a/b", b"12345")
        view = store.read_view("a/b", 5)
        store.replace("a/b", b"other")
        assert (view, len(view), view.readonly) == (b"12345", 5, True)
        with pytest.raises(ObjectTooLargeError, match=r"a/b has 5 bytes, more than the 4"):
            store.read_view("a/b", 4)
        with pytest.raises(ObjectNotFoundError, match="a/c"):
            store.read_view("a/c")

    def test_update_creates_changes_or_leaves_objects(self, store: Store) -> None:
        seen: list[bytes | None] = []

        def change_to(new: bytes | None) -> Change:
            def change(old: bytes | None) -> bytes | None:
                seen.append(old)
                return new

            return change

        assert store.update("a/b", change_to(None)) is None
        assert keys_of(store) == []
        assert store.update("a/b", change_to(b"1")) == b"1"
        assert store.update("a/b", change_to(b"2")) == b"2"
        assert store.update("a/b", change_to(None)) == b"2"
        assert seen == [None, None, b"1", b"2"]
        assert store.read("a/b") == b"2"
        assert keys_of(store) == ["a/b"]

    def test_failed_update_changes_nothing(self, store: Store) -> None:
        def fail(old: bytes | None) -> bytes:
            raise RuntimeError(f"at {old!r}")

        store.create("a", b"1")
        with pytest.raises(RuntimeError, match="at b'1'"):
            store.update("a", fail)
        assert store.update("a", lambda old: (old or b"") + b"2") == b"12"
        assert keys_of(store) == ["a"]

    def test_concurrent_updates_are_never_lost(self, open_store: Opener) -> None:
        def run(racer: int) -> None:
            store = open_store()
            for _ in range(10):
                store.update("counter", lambda old: b"%d" % (int(old or b"0") + 1))

        assert race(6, run) == [None] * 6
        assert open_store().read("counter") == b"60"
        assert keys_of(open_store()) == ["counter"]

    def test_update_works_inside_a_lock(self, open_store: Opener) -> None:
        def run(racer: int) -> None:
            store = open_store()
            for _ in range(5):
                with store.lock("") if racer % 2 else contextlib.nullcontext():
                    store.update("p/counter", lambda old: b"%d" % (int(old or b"0") + 1))

        assert race(4, run) == [None] * 4
        assert open_store().read("p/counter") == b"20"

    def test_upload_takes_the_callers_checksum(self, store: Store) -> None:
        data = b"0123456789" * 1_000_000  # more than one part
        with store.upload("a/b", caller_hashes=True) as upload:
            upload.write(data)
            upload.publish(checksum=f"sha256:{sha256(data).hexdigest()}")
        assert store.read("a/b") == data

    def test_upload_is_invisible_until_published(self, store: Store) -> None:
        with store.upload("a/b") as upload:
            assert upload.write(b"one ") == 4
            assert upload.write(memoryview(b"two ")) == 4
            assert upload.write(bytearray(b"three")) == 5
            assert store.size("a/b") is None
            upload.publish()
            assert store.read("a/b") == b"one two three"
        assert keys_of(store) == ["a/b"]

    @pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
    def test_writable_buffer_can_be_reused_after_write(self, store: Store, size: int) -> None:
        buffer = bytearray(b"a" * size)
        with store.upload("a/b") as upload:
            for letter in b"bcd":
                upload.write(buffer)
                buffer[:] = bytes([letter]) * size
            upload.publish()
        assert store.read("a/b") == b"".join(letter * size for letter in (b"a", b"b", b"c"))

    def test_unpublished_upload_leaves_nothing(self, store: Store) -> None:
        with store.upload("a/b") as upload:
            upload.write(b"x")
        assert keys_of(store) == []

    def test_failed_upload_leaves_nothing(self, store: Store) -> None:
        def fail() -> None:
            with store.upload("a/b") as upload:
                upload.write(b"x")
                raise RuntimeError("the lake broke")

        with pytest.raises(RuntimeError, match="the lake broke"):
            fail()
        assert keys_of(store) == []

    def test_pieces_of_all_sizes_keep_their_order(self, store: Store) -> None:
        sizes = [1, 40_000, 31_000, 31_000, 7, 32 * 1024, 0, 32 * 1024 - 1, 5_000_000, 3]
        pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
        with store.upload("a") as upload:
            for piece in pieces:
                buffer = bytearray(piece)  # the caller's own, which may be used again after the call
                assert upload.write(buffer) == len(piece)
                buffer[:] = b"?" * len(buffer)
            upload.publish()
        assert store.read("a") == b"".join(pieces)

    def test_ended_upload_refuses_writes(self, open_store: Opener) -> None:
        with open_store().upload("a") as ended:
            ended.write(b"old")
        with open_store().upload("b") as upload:  # it may get the same file handle
            upload.write(b"new")
            with pytest.raises((StoreError, OSError, ValueError)):
                ended.write(b"old")
            upload.publish()
        assert open_store().read("b") == b"new"
        assert keys_of(open_store()) == ["b"]

    def test_upload_replaces_only_when_told(self, store: Store) -> None:
        store.create("a", b"first")
        with store.upload("a") as upload:
            upload.write(b"second")
            with pytest.raises(ObjectExistsError):
                upload.publish()
            assert store.read("a") == b"first"
            upload.publish(replace=True)
            assert store.read("a") == b"second"
        assert store.read("a") == b"second"
        assert keys_of(store) == ["a"]

    def test_second_upload_of_a_key_is_refused(self, open_store: Opener) -> None:
        with open_store().upload("a") as one, open_store().upload("a") as other:
            one.write(b"one")
            other.write(b"other")
            one.publish()
            with pytest.raises(ObjectExistsError):
                other.publish()
        assert open_store().read("a") == b"one"
        assert keys_of(open_store()) == ["a"]

    def test_upload_of_many_pieces_is_read_back(self, store: Store) -> None:
        piece = bytes(range(256)) * 1024
        with store.upload("a") as upload:
            for _ in range(50):
                upload.write(piece)
            upload.publish()
        assert store.read("a") == piece * 50

    def test_exactly_one_of_many_creators_wins(self, open_store: Opener) -> None:
        for number in range(10):
            key = f"p/{number}"
            outcomes = race(RACERS, lambda racer, key=key: open_store().create(key, b"by %d" % racer))
            winners = [racer for racer, outcome in enumerate(outcomes) if outcome is None]
            assert len(winners) == 1, outcomes
            assert all(isinstance(outcome, ObjectExistsError) for outcome in outcomes if outcome is not None), outcomes
            assert open_store().read(key) == b"by %d" % winners[0]
        assert keys_of(open_store()) == [f"p/{number}" for number in range(10)]

    def test_exactly_one_of_many_publishers_wins(self, open_store: Opener) -> None:
        def publish(racer: int, key: str) -> None:
            with open_store().upload(key) as upload:
                upload.write(b"by %d" % racer)
                upload.publish()

        for key in ("p/1", "p/2", "p/3"):
            outcomes = race(RACERS, lambda racer, key=key: publish(racer, key))
            winners = [racer for racer, outcome in enumerate(outcomes) if outcome is None]
            assert len(winners) == 1, outcomes
            assert all(isinstance(outcome, ObjectExistsError) for outcome in outcomes if outcome is not None), outcomes
            assert open_store().read(key) == b"by %d" % winners[0]
        assert keys_of(open_store()) == ["p/1", "p/2", "p/3"]

    def test_concurrent_readers_see_only_whole_objects(self, open_store: Opener) -> None:
        contents = {bytes([letter]) * 70_000 for letter in b"abc"}
        open_store().create("a", min(contents))

        def run(racer: int) -> set[bytes]:
            store = open_store()
            if racer < 2:
                for content in sorted(contents) * 5:
                    store.replace("a", content)
                return set()
            return {store.read("a") for _ in range(30)}

        seen = race(6, run)
        assert all(isinstance(found, set) and found <= contents for found in seen), seen

    def test_cleanup_spares_concurrent_writers(self, open_store: Opener) -> None:
        def run(racer: int) -> None:
            store = open_store()
            for number in range(20):
                if racer % 4 == 0:
                    store.remove_leftovers()
                else:
                    store.create(f"{racer}/{number}", b"%d" % number)

        # a cleaner may take a file before its writer holds it: the writer then begins another one, and nothing is lost
        assert race(8, run) == [None] * 8
        expected = {f"{racer}/{number}": b"%d" % number for racer in range(8) if racer % 4 for number in range(20)}
        assert {key: open_store().read(key) for key in keys_of(open_store())} == expected

    def test_clean_leaves_published_objects_and_live_uploads(self, open_store: Opener) -> None:
        store = open_store()
        store.create("a", b"x")
        with store.upload("b") as upload:
            upload.write(b"y")
            assert open_store().remove_leftovers() == []
            upload.publish()
        assert keys_of(store) == ["a", "b"]

    def test_lock_excludes_others(self, open_store: Opener) -> None:
        if not open_store().supports_locking:
            with open_store().lock("some/prefix"), open_store().lock("some/prefix"):
                return  # nobody waits
        inside, most = [0], [0]

        def run(racer: int) -> None:
            store = open_store()
            for _ in range(20):
                with store.lock("some/prefix"):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    store.replace("counter", b"%d" % (int(store.read("counter")) + 1))
                    inside[0] -= 1

        open_store().create("counter", b"0")
        assert race(8, run) == [None] * 8
        assert open_store().read("counter") == b"160"
        assert most == [1]

    def test_locks_of_different_prefixes_are_independent(self, open_store: Opener) -> None:
        with open_store().lock("a"), open_store().lock("b"), open_store().lock():
            pass

    def test_lock_is_released_after_an_error(self, open_store: Opener) -> None:
        def fail() -> None:
            with open_store().lock("a"):
                raise RuntimeError("inside")

        with pytest.raises(RuntimeError, match="inside"):
            fail()
        with open_store().lock("a"):
            pass

    def test_exclusive_name_has_one_holder(self, open_store: Opener) -> None:
        with open_store().exclusive("a/chain", holder="run 1 (operator)", wait_s=0):
            if not open_store().supports_locking:
                with open_store().exclusive("a/chain", holder="run 2", wait_s=0):
                    return  # nobody is excluded
            with (
                pytest.raises(LockedError, match=r"a/chain in .* is locked by run 1 \(operator\) since \d{4}-"),
                open_store().exclusive("a/chain", holder="run 2", wait_s=0),
            ):
                raise AssertionError("both hold it")
            with open_store().exclusive("another", holder="run 2", wait_s=0), open_store().lock("a/chain"):
                assert open_store().remove_leftovers() == []
        with open_store().exclusive("a/chain", holder="run 3", wait_s=0):
            pass
        assert keys_of(open_store()) == []

    def test_exclusive_waits_for_the_holder(self, open_store: Opener) -> None:
        if not open_store().supports_locking:
            return
        counts = [0, 0]

        def run(racer: int) -> None:
            with open_store().exclusive("chain", holder=f"run {racer}", wait_s=30):
                counts[0] += 1
                counts[1] = max(counts)
                open_store().create(f"{racer}", b"x")
                counts[0] -= 1

        assert race(6, run) == [None] * 6
        assert counts == [0, 1]
        assert keys_of(open_store()) == list("012345")

    @pytest.mark.parametrize("name", ["", "..", "a\nb", "ü/" * 200, "\ud800"])
    def test_exclusive_takes_any_name(self, open_store: Opener, name: str) -> None:
        with open_store().exclusive(name, holder="x", wait_s=0):
            pass
        assert keys_of(open_store()) == []

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_invalid_keys_are_refused(self, store: Store, key: str) -> None:
        for use in (store.read, store.size, store.open_read, store.delete, store.upload):
            with pytest.raises(StoreError, match="is not a relative path of plain segments"):
                use(key)
        for put in (store.create, store.replace):
            with pytest.raises(StoreError, match="is not a relative path of plain segments"):
                put(key, b"x")
        assert keys_of(store) == []

    @pytest.mark.parametrize("key", [key for key in BAD_KEYS if key])
    def test_invalid_prefixes_are_refused(self, store: Store, key: str) -> None:
        with pytest.raises(StoreError, match="is not a relative path of plain segments"):
            list(store.list_children(key))
        with pytest.raises(StoreError, match="is not a relative path of plain segments"):
            list(store.list_directories(key))
        with pytest.raises(StoreError, match="is not a relative path of plain segments"), store.lock(key):
            pass

    @given(st.text(st.sampled_from("ab./\\\0~ \n…"), max_size=12))
    @settings(
        max_examples=150,
        # the store is the same for all examples; the test is inherited by several classes
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_key_is_refused_or_names_one_object(self, store: Store, key: str) -> None:
        try:
            assert checked_key(key) == key
        except StoreError:
            return
        assert join(*key.split("/")) == key
        store.replace(f"k/{key}/end", b"x")
        assert f"k/{key}/end" in keys_of(store)
        store.delete(f"k/{key}/end")

    def test_url_is_stable_without_trailing_slash(self, open_store: Opener) -> None:
        assert open_store().url == open_store().url != ""
        assert not open_store().url.endswith("/")

    def test_temporary_objects_have_their_own_prefix(self, store: Store) -> None:
        with store.upload("data/range=1-2/part") as upload:
            upload.write(b"x")
            assert [entry.name for entry in store.list_children("")] in ([TEMPORARY], [])
