"""The command `verify`: exit status, and that it writes nothing."""

from __future__ import annotations

from tests.e2e.conftest import Copier, tree


def test_damaged_partition_exits_1(copy: Copier) -> None:
    copy.run()
    path = copy.parquet((16, 23))
    path.write_bytes(path.read_bytes()[:-1] + b"X")

    ran = copy.run("verify")

    assert ran.status == 1
    assert "chain standalone/e1/v1: DOES NOT HOLD: 1 wrong" in ran.out
    assert f"{path}: has the checksum sha256:" in ran.out


def test_verify_writes_nothing(copy: Copier) -> None:
    copy.run()
    before = tree(copy.root)
    assert copy.run("verify").status == 0
    assert tree(copy.root) == before
