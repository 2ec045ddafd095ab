"""Opening a lake: what its ``.config.json``, its names and the settings say, and whether they agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import BronzeError, ConfigError, LakeError
from bronze.lake.lake import Lake, LakeOptions, NewestObject, missing_files, open_lake
from bronze.lake.layout import LakeLayout
from bronze.stellar import PASSPHRASES
from bronze.storage.local import LocalStore
from bronze.storage.store import ListEntry
from pipeline.sample import STANDALONE_PASSPHRASE

PUBNET, TESTNET = PASSPHRASES["pubnet"], PASSPHRASES["testnet"]
STANDALONE = LakeOptions("standalone")


def make(root: Path, names: list[str] = [], config: object = None) -> LocalStore:  # noqa: B006
    """A lake of empty objects with these keys; opening one reads none of them."""
    store = LocalStore(root)
    root.mkdir()
    for name in names:
        store.path(name).parent.mkdir(exist_ok=True)
        store.path(name).touch()
    if config is not None:
        data = config if isinstance(config, bytes) else json.dumps(config).encode()
        store.create(".config.json", data)
    return store


def keys(layout: LakeLayout, start: int, end: int) -> list[str]:
    return sorted({layout.key(ledger) for ledger in range(start, end + 1)})


def config(**changes: Any) -> dict[str, Any]:
    stated: dict[str, Any] = {"networkPassphrase": STANDALONE_PASSPHRASE, "version": "1.0", "compression": "zstd"}
    return stated | {"ledgersPerBatch": 1, "batchesPerPartition": 64} | changes


LAYOUTS = [
    LakeLayout(k, p, extension) for k in (1, 3, 64) for p in (1, 2, 64000) for extension in ("zst", "zstd")
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("configured", [False, True], ids=["names only", "with .config.json"])
def test_the_layout_is_found(tmp_path: Path, layout: LakeLayout, configured: bool) -> None:
    k, p = layout.ledgers_per_file, layout.files_per_directory
    stated = config(ledgersPerBatch=k, batchesPerPartition=p) if configured else None
    lake = open_lake(make(tmp_path / "lake", keys(layout, 2, 140), stated), STANDALONE)
    assert lake.layout == layout
    assert lake.passphrase == (STANDALONE_PASSPHRASE if configured else None)
    end = layout.file_end(140)
    assert lake.newest() == NewestObject(layout.key(end), end)
    assert missing_files(lake, 0, end) == (0, [])


@pytest.mark.parametrize(("k", "p", "extension"), [(1, 64, "zst"), (1, 1, "zstd"), (4, 2, "zst"), (64, 10, "zst")])
def test_sample_lakes_open(lake_of: Callable[..., Path], k: int, p: int, extension: str) -> None:
    lake = open_lake(LocalStore(lake_of(k, p, extension)), STANDALONE)
    assert lake.layout == LakeLayout(k, p, extension)
    assert lake.passphrase == STANDALONE_PASSPHRASE
    newest = lake.newest()
    assert newest is not None
    assert newest.ledger == 63
    assert lake.read(newest.key)[:4] == b"\x28\xb5\x2f\xfd"


def test_an_empty_lake_takes_its_layout_from_config(tmp_path: Path) -> None:
    lake = open_lake(make(tmp_path / "lake", [], config(ledgersPerBatch=8)), STANDALONE)
    assert lake.layout == LakeLayout(8, 64, "zst")
    assert lake.newest() is None


def test_an_empty_lake_takes_its_layout_from_the_settings(tmp_path: Path) -> None:
    expected = LakeOptions("standalone", None, 8, 5, "zstd")
    assert open_lake(make(tmp_path / "lake"), expected).layout == LakeLayout(8, 5, "zstd")


K1 = LakeLayout(1, 64)


@pytest.mark.parametrize(
    ("stated", "names", "expected", "error", "message"),
    [
        # nothing to find the layout from: probably not the lake's root
        (None, [], STANDALONE, LakeError, "no .config.json and no object .* is it the lake's root"),
        (None, ["pubnet/x.txt"], STANDALONE, LakeError, "no .config.json and no object"),
        # .config.json contradicts the names
        (config(ledgersPerBatch=64), keys(K1, 2, 9), STANDALONE, LakeError,
         r"holds FFFFFFFF--0-63/FFFFFFF6--9.xdr.zst, but with 64 ledgers per file .* would be FFFFFFFF--0-4095/"),
        (config(batchesPerPartition=1), keys(K1, 2, 9), STANDALONE, LakeError, "would be FFFFFFF6--9.xdr.zst"),
        # so do the settings, where there is no .config.json
        (None, keys(K1, 2, 9), LakeOptions("standalone", None, 2), LakeError, "with 2 ledgers per file and 64"),
        (None, keys(K1, 2, 9), LakeOptions("standalone", None, 1, 10), LakeError, "would be FFFFFFFF--0-9/"),
        # .config.json contradicts the settings
        (config(), keys(K1, 2, 9), LakeOptions("standalone", None, 64), ConfigError,
         r"source.ledgers_per_file is 64, but .config.json of the lake .* says 1"),
        (config(), [], LakeOptions("standalone", None, 1, 10), ConfigError, "per_directory is 10, but .* says 64"),
        # the names contradict the settings
        (config(), keys(K1, 2, 9), LakeOptions("standalone", extension="zstd"), ConfigError,
         "source.extension is 'zstd', but the lake .* holds FFFFFFFF--0-63/FFFFFFF6--9.xdr.zst"),
        # another network than the one named; both passphrases are shown
        (config(networkPassphrase=TESTNET), [], LakeOptions("pubnet"), ConfigError,
         r"is of the network 'Test SDF Network.*' \(testnet\), but era.network 'pubnet' means 'Public Global"),
        (config(), [], LakeOptions("pubnet"), ConfigError, r"\(not a public one\), but era.network 'pubnet'"),
        # an alias means the same network
        (config(networkPassphrase=TESTNET), [], LakeOptions("mainnet"), ConfigError, "'mainnet' means 'Public"),
        # than the one whose passphrase is configured
        (config(), [], LakeOptions("standalone", "My own network"), ConfigError, "means 'My own network'"),
        # a name that nobody knows for a network that everybody knows
        (config(networkPassphrase=PUBNET), [], LakeOptions("prod"), ConfigError,
         "era.network is 'prod', which is no known network, but the lake .* is of 'pubnet' .* name the era's network"),
        # .config.json is damaged
        (b"", [], STANDALONE, LakeError, ".config.json is no JSON"),
        (b"{", [], STANDALONE, LakeError, ".config.json is no JSON"),
        (b"\xff\xfe\xfd", [], STANDALONE, LakeError, ".config.json is no JSON"),
        (b"[" * 60_000, [], STANDALONE, LakeError, ".config.json is no JSON"),
        (b"[1]", [], STANDALONE, LakeError, "no JSON object"),
        (b" " * 65_537, [], STANDALONE, LakeError, "has 65537 bytes, more than the 65536 allowed"),
        (config(ledgersPerBatch="1"), [], STANDALONE, LakeError, "ledgersPerBatch is '1', expected int"),
        (config(ledgersPerBatch=True), [], STANDALONE, LakeError, "ledgersPerBatch is True, expected int"),
        (config(ledgersPerBatch=0), [], STANDALONE, LakeError, "ledgersPerBatch is 0, expected 1 to 4294967295"),
        (config(batchesPerPartition=1.5), [], STANDALONE, LakeError, "batchesPerPartition is 1.5"),
        (config(batchesPerPartition=1 << 32), [], STANDALONE, LakeError, "batchesPerPartition is 4294967296"),
        (config(networkPassphrase=7), [], STANDALONE, LakeError, "networkPassphrase is 7, expected str"),
        (config(compression="gzip"), [], STANDALONE, LakeError, "compression is 'gzip', only 'zstd' is known"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(
    tmp_path: Path, stated: object, names: list[str], expected: LakeOptions, error: type[BronzeError], message: str
) -> None:
    store = make(tmp_path / "lake", names, stated)
    with pytest.raises(error, match=message) as caught:
        open_lake(store, expected)
    assert str(store.root) in str(caught.value)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (config(networkPassphrase=PUBNET), LakeOptions("pubnet")),
        # the older copier's names of pubnet
        (config(networkPassphrase=PUBNET), LakeOptions("mainnet")),
        (config(networkPassphrase=PUBNET), LakeOptions("public")),
        # a network of one's own, by its passphrase or on trust
        (config(), LakeOptions("standalone", STANDALONE_PASSPHRASE)),
        (config(), STANDALONE),
        # any name goes with the right passphrase
        (config(networkPassphrase=PUBNET), LakeOptions("archive", PUBNET)),
        # a lake that says nothing
        ({"ledgersPerBatch": 1, "batchesPerPartition": 64}, LakeOptions("pubnet")),
        # settings that say the same; keys that nobody knows; null is unsaid
        (config(), LakeOptions("standalone", STANDALONE_PASSPHRASE, 1, 64, "zst")),
        (config(networkName="x", version=None), STANDALONE),
        (config(ledgersPerBatch=None), STANDALONE),
    ],
)
def test_what_agrees_opens(tmp_path: Path, stated: object, expected: LakeOptions) -> None:
    assert open_lake(make(tmp_path / "lake", keys(K1, 2, 100), stated), expected).layout == K1


def test_bom_is_no_damage(tmp_path: Path) -> None:
    open_lake(make(tmp_path / "lake", keys(K1, 2, 3), b"\xef\xbb\xbf" + json.dumps(config()).encode()), STANDALONE)


@pytest.mark.parametrize(
    ("names", "newest"),
    [
        # a newest directory without ledgers: an upload that has just begun
        ([*keys(K1, 60, 64), "FFFFFF7F--128-191/.keep"], 64),
        # a newest directory with other files only
        ([*keys(K1, 60, 63), "FFFFFFBF--64-127/FFFFFFBF--64.xdr.zst.tmp", "FFFFFFBF--64-127/notes.txt"], 63),
        # directories that are none of a lake, one of them sorting first; files at the root
        ([*keys(K1, 60, 70), "00000000--junk/FFFFFFFD--2.xdr.zst", "#notes", "ZZZ", "ffffff7f--128-191/x"], 70),
        # a name whose prefix is not of its ledger
        ([*keys(K1, 60, 70), "FFFFFFBF--64-127/00000000--70.xdr.zst"], 70),
        # a directory that is called like an object
        ([*keys(K1, 60, 70), "FFFFFFB8--71.xdr.zst/x"], 70),
    ],
)
def test_newest(tmp_path: Path, names: list[str], newest: int) -> None:
    lake = open_lake(make(tmp_path / "lake", names), STANDALONE)
    assert lake.newest() == NewestObject(K1.key(newest), newest)


class Counting(LocalStore):
    """Counts the listings of each prefix."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.listings: Counter[str] = Counter()

    def list_children(self, prefix: str) -> Iterator[ListEntry]:
        self.listings[prefix] += 1
        return super().list_children(prefix)


def test_missing_files_costs_one_listing_for_each_directory(tmp_path: Path) -> None:
    layout = LakeLayout(2, 5)
    gone = {layout.key(20), layout.key(22), layout.key(41), layout.key(69)}
    names = [key for key in keys(layout, 2, 69) if key not in gone]
    make(tmp_path / "lake", [*names, "FFFFFFFF--0-9/notes.txt"])
    store = Counting(tmp_path / "lake")
    lake = Lake(store, layout, None)
    assert missing_files(lake, 0, 69) == (4, sorted(gone, reverse=True))
    assert store.listings == {layout.directory(start).rstrip("/"): 1 for start in range(0, 70, 10)}
    # a range that begins and ends inside files asks for these files
    store.listings.clear()
    assert missing_files(lake, 23, 41) == (2, [layout.key(22), layout.key(41)])
    assert len(store.listings) == 3
    # the count is of all, the names are the first ones
    assert missing_files(lake, 0, 69, most=2) == (4, [layout.key(20), layout.key(22)])
    # directories that are not there at all
    assert missing_files(lake, 100, 119) == (10, [layout.key(start) for start in range(100, 120, 2)])


@pytest.mark.parametrize(
    ("k", "start", "end", "starts"),
    [
        (1, 0, 3, [2, 3]),  # ledgers 0 and 1 exist in no file
        (1, 5, 5, [5]),
        (4, 0, 8, [0, 4, 8]),  # the first file is named from 0, but begins at ledger 2
        (4, 5, 7, [4]),
        (4, 7, 8, [4, 8]),
        (64, 2, 63, [0]),
    ],
)
def test_file_starts(tmp_path: Path, k: int, start: int, end: int, starts: list[int]) -> None:
    lake = Lake(LocalStore(tmp_path), LakeLayout(k, 10), None)
    assert list(lake.file_starts(start, end)) == starts


def test_a_missing_object_is_named(tmp_path: Path) -> None:
    lake = Lake(LocalStore(tmp_path), K1, None)
    with pytest.raises(
        LakeError, match=f"object {tmp_path}/FFFFFFFF--0-63/FFFFFFFC--3.xdr.zst is missing from the lake"
    ):
        lake.read(lake.key(3))
