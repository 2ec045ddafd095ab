"""Opening a lake: what its ``.config.json``, its names and the settings state, and whether they agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import BronzeError, ConfigError, LakeError
from bronze.lake.lake import NewestObject
from bronze.lake.layout import LakeLayout
from bronze.lake.opening import LakeOptions, open_lake
from bronze.stellar import MAX_LEDGER, PASSPHRASES
from bronze.storage.local import LocalStore
from pipeline.sample import STANDALONE_PASSPHRASE
from tests.bronze.lake.conftest import keys, make_lake

PUBNET, TESTNET = PASSPHRASES["pubnet"], PASSPHRASES["testnet"]
STANDALONE = LakeOptions(network="standalone")
K1 = LakeLayout(1, 64)


def standalone(**configured: Any) -> LakeOptions:
    return LakeOptions(network="standalone", **configured)


def config(**changes: Any) -> dict[str, Any]:
    stated: dict[str, Any] = {"networkPassphrase": STANDALONE_PASSPHRASE, "version": "1.0", "compression": "zstd"}
    return stated | {"ledgersPerBatch": 1, "batchesPerPartition": 64} | changes


LAYOUTS = [LakeLayout(k, p, extension) for k in (1, 3, 64) for p in (1, 2, 64000) for extension in ("zst", "zstd")]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("configured", [False, True], ids=["names only", "with .config.json"])
def test_layout_is_detected(tmp_path: Path, layout: LakeLayout, configured: bool) -> None:
    k, p = layout.ledgers_per_file, layout.files_per_directory
    stated = config(ledgersPerBatch=k, batchesPerPartition=p) if configured else None
    lake = open_lake(make_lake(tmp_path / "lake", keys(layout, 2, 140), stated), STANDALONE)
    assert lake.layout == layout
    assert lake.passphrase == (STANDALONE_PASSPHRASE if configured else None)
    end = layout.file_end(140)
    assert lake.newest() == NewestObject(layout.key(end), end)


@pytest.mark.parametrize(("k", "p", "extension"), [(1, 64, "zst"), (1, 1, "zstd"), (4, 2, "zst"), (64, 10, "zst")])
def test_sample_lakes_open(lake_of: Callable[..., Path], k: int, p: int, extension: str) -> None:
    lake = open_lake(LocalStore(lake_of(k, p, extension)), STANDALONE)
    assert lake.layout == LakeLayout(k, p, extension)
    assert lake.passphrase == STANDALONE_PASSPHRASE
    newest = lake.newest()
    assert newest is not None
    assert newest.ledger == 63
    assert lake.read(newest.key)[:4] == b"\x28\xb5\x2f\xfd"


def test_empty_lake_takes_layout_from_config(tmp_path: Path) -> None:
    lake = open_lake(make_lake(tmp_path / "lake", [], config(ledgersPerBatch=8)), STANDALONE)
    assert lake.layout == LakeLayout(8, 64, "zst")
    assert lake.newest() is None


def test_empty_lake_takes_layout_from_settings(tmp_path: Path) -> None:
    expected = standalone(ledgers_per_file=8, files_per_directory=5, extension="zstd")
    assert open_lake(make_lake(tmp_path / "lake"), expected).layout == LakeLayout(8, 5, "zstd")


@pytest.mark.parametrize(
    ("stated", "names", "expected", "error", "message"),
    [
        # nothing to detect the layout from: probably not the lake's root
        (None, [], STANDALONE, LakeError, "no .config.json and no object .* is it the lake's root"),
        (None, ["pubnet/x.txt"], STANDALONE, LakeError, "no .config.json and no object"),
        # .config.json contradicts the names
        (config(ledgersPerBatch=64), keys(K1, 2, 9), STANDALONE, LakeError,
         r"holds FFFFFFFF--0-63/FFFFFFF6--9.xdr.zst, but with 64 ledgers per file .* would be FFFFFFFF--0-4095/"),
        (config(batchesPerPartition=1), keys(K1, 2, 9), STANDALONE, LakeError, "would be FFFFFFF6--9.xdr.zst"),
        # so do the settings, where there is no .config.json
        (None, keys(K1, 2, 9), standalone(ledgers_per_file=2), LakeError, "with 2 ledgers per file and 64"),
        (None, keys(K1, 2, 9), standalone(ledgers_per_file=1, files_per_directory=10), LakeError,
         "would be FFFFFFFF--0-9/"),
        # a directory that is smaller than its file: no layout gives this key
        (None, ["FFFFFFFF--0-9/FFFFFFFF--0-63.xdr.zst"], STANDALONE, LakeError, "this would be FFFFFFFF--0-63.xdr.zst"),
        # .config.json contradicts the settings
        (config(), keys(K1, 2, 9), standalone(ledgers_per_file=64), ConfigError,
         r"source.ledgers_per_file is 64, but .config.json of the lake .* says 1"),
        (config(), [], standalone(ledgers_per_file=1, files_per_directory=10), ConfigError,
         "per_directory is 10, but .* says 64"),
        # the names contradict the settings
        (config(), keys(K1, 2, 9), standalone(extension="zstd"), ConfigError,
         "source.extension is 'zstd', but the lake .* holds FFFFFFFF--0-63/FFFFFFF6--9.xdr.zst: leave it out"),
        # another network than the configured one; both passphrases are shown
        (config(networkPassphrase=TESTNET), [], LakeOptions(network="pubnet"), ConfigError,
         r"belongs to the network 'Test SDF Network.*' \(testnet\), but era.network 'pubnet' means 'Public Global"),
        (config(), [], LakeOptions(network="pubnet"), ConfigError, r"\(not a public one\), but era.network 'pubnet'"),
        # an alias means the same network
        (config(networkPassphrase=TESTNET), [], LakeOptions(network="mainnet"), ConfigError, "'mainnet' means 'Public"),
        # another network than the one whose passphrase is configured
        (config(), [], standalone(passphrase="My own network"), ConfigError, "network_passphrase is 'My own"),
        # an unknown name for a known network
        (config(networkPassphrase=PUBNET), [], LakeOptions(network="prod"), ConfigError,
         "era.network is 'prod', which is not a known network, but the lake .* belongs to 'pubnet' .* set era.network"),
        # .config.json is damaged
        (b"", [], STANDALONE, LakeError, ".config.json cannot be used: it is not valid JSON"),
        (b"{", [], STANDALONE, LakeError, ".config.json cannot be used: it is not valid JSON"),
        (b"\xff\xfe\xfd", [], STANDALONE, LakeError, ".config.json cannot be used: it is not valid JSON"),
        (b"[" * 60_000, [], STANDALONE, LakeError, ".config.json cannot be used: its JSON is nested too deeply"),
        (b"[1]", [], STANDALONE, LakeError, "it is not a JSON object but an array"),
        (b" " * 65_537, [], STANDALONE, LakeError, "has 65537 bytes, more than the 65536 allowed"),
        (config(ledgersPerBatch="1"), [], STANDALONE, LakeError, "ledgersPerBatch is '1', expected int"),
        (config(ledgersPerBatch=True), [], STANDALONE, LakeError, "ledgersPerBatch is True, expected int"),
        (config(ledgersPerBatch=0), [], STANDALONE, LakeError, "ledgersPerBatch is 0, expected 1 to 4294967295"),
        (config(batchesPerPartition=1.5), [], STANDALONE, LakeError, "batchesPerPartition is 1.5"),
        (config(batchesPerPartition=1 << 32), [], STANDALONE, LakeError, "batchesPerPartition is 4294967296"),
        (config(networkPassphrase=7), [], STANDALONE, LakeError, "networkPassphrase is 7, expected str"),
        (config(version="2.0"), [], STANDALONE, LakeError, "version is '2.0', this program reads 1.x: a newer"),
        (config(version="10"), [], STANDALONE, LakeError, "version is '10'"),
        (config(version="1.0-beta"), [], STANDALONE, LakeError, "version is '1.0-beta'"),
        (config(version=2), [], STANDALONE, LakeError, "version is 2, this program reads 1.x"),
        (config(version=""), [], STANDALONE, LakeError, "version is ''"),
        (config(compression="gzip"), [], STANDALONE, LakeError, "compression is 'gzip', only 'zstd' is supported"),
    ],
)  # fmt: skip
def test_contradictory_lakes_are_refused(
    tmp_path: Path, stated: object, names: list[str], expected: LakeOptions, error: type[BronzeError], message: str
) -> None:
    store = make_lake(tmp_path / "lake", names, stated)
    with pytest.raises(error, match=message) as caught:
        open_lake(store, expected)
    assert str(store.root) in str(caught.value)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (config(networkPassphrase=PUBNET), LakeOptions(network="pubnet")),
        # the older copier's names of pubnet
        (config(networkPassphrase=PUBNET), LakeOptions(network="mainnet")),
        (config(networkPassphrase=PUBNET), LakeOptions(network="public")),
        # a private network, with its passphrase or without
        (config(), standalone(passphrase=STANDALONE_PASSPHRASE)),
        (config(), STANDALONE),
        # any name with the right passphrase
        (config(networkPassphrase=PUBNET), LakeOptions(network="archive", passphrase=PUBNET)),
        # a lake that does not state its network
        ({"ledgersPerBatch": 1, "batchesPerPartition": 64}, LakeOptions(network="pubnet")),
        # settings that state the same; unknown keys; null means not stated
        (
            config(),
            LakeOptions(
                network="standalone",
                passphrase=STANDALONE_PASSPHRASE,
                ledgers_per_file=1,
                files_per_directory=64,
                extension="zst",
            ),
        ),
        (config(networkName="x", version=None), STANDALONE),
        (config(ledgersPerBatch=None), STANDALONE),
        # any version 1, and the extension's name for the compression
        (config(version="1.0", compression="zst"), STANDALONE),
        (config(version="1.12.3", compression=None), STANDALONE),
        (config(version="1"), STANDALONE),
    ],
)
def test_agreeing_lakes_open(tmp_path: Path, stated: object, expected: LakeOptions) -> None:
    assert open_lake(make_lake(tmp_path / "lake", keys(K1, 2, 100), stated), expected).layout == K1


def test_config_with_byte_order_mark_is_read(tmp_path: Path) -> None:
    open_lake(make_lake(tmp_path / "lake", keys(K1, 2, 3), b"\xef\xbb\xbf" + json.dumps(config()).encode()), STANDALONE)


@pytest.mark.parametrize(
    "layout", [LakeLayout(1, 64000), LakeLayout(3, 1), LakeLayout(10, 1), LakeLayout(10, 7)], ids=str
)
def test_layout_is_detected_at_the_last_ledger(tmp_path: Path, layout: LakeLayout) -> None:
    # what is cut off at the last ledger there can be says nothing of the layout; what is older does
    names = [*keys(layout, MAX_LEDGER - 20, MAX_LEDGER), layout.key(MAX_LEDGER - 70_000)]
    lake = open_lake(make_lake(tmp_path / "lake", names), STANDALONE)
    assert lake.layout == layout
    assert lake.newest() == NewestObject(layout.key(MAX_LEDGER), MAX_LEDGER)


def test_directory_of_lake_is_refused(tmp_path: Path) -> None:
    make_lake(tmp_path / "lake", keys(K1, 8, 15))
    (inside,) = (tmp_path / "lake").iterdir()
    with pytest.raises(ConfigError, match=f"{inside} is named as a directory inside a lake: give the lake's root"):
        open_lake(LocalStore(inside), LakeOptions(network=None))
