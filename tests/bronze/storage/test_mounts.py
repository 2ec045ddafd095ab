"""The table of mounts: points, kinds, options, and whose locks do not reach other machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from bronze.storage.mounts import is_below, mount_of, read_mounts

TABLE = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:50 / /srv/with\040space rw,noatime - nfs4 host:/x rw,vers=4.2,local_lock=none
24 22 0:51 / /srv/data rw - ext4 /dev/sdb1 rw
25 24 0:52 / /srv/data/old rw shared:2 master:3 - nfs host:/y rw,vers=3,nolock,local_lock=all
26 24 0:53 / /srv/data ro - tmpfs tmpfs rw
27 22 0:54 / /remote rw - fuse.rclone bucket: rw
garbage
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "mountinfo").write_text(TABLE)
    return tmp_path / "mountinfo"


@pytest.mark.parametrize(
    ("path", "point", "kind", "local"),
    [
        ("/srv/with space/a", "/srv/with space", "nfs4", False),
        ("/srv/data", "/srv/data", "tmpfs", False),
        ("/srv/data/old/x", "/srv/data/old", "nfs", True),
        ("/srv/database", "/", "ext4", False),
        ("/remote/x", "/remote", "fuse.rclone", True),
    ],
)
def test_mount_of_a_path_is_the_deepest(table: Path, path: str, point: str, kind: str, local: bool) -> None:
    mount = mount_of(path, read_mounts(table))
    assert mount is not None
    assert (mount.point, mount.kind, mount.has_local_locks) == (point, kind, local)


def test_missing_table_has_no_mounts(tmp_path: Path) -> None:
    assert read_mounts(tmp_path / "missing") == []
    assert mount_of("/x", []) is None


def test_own_table_has_the_root() -> None:
    assert mount_of("/", read_mounts()) is not None


def test_below_means_strictly_below() -> None:
    assert [is_below(path, "/a") for path in ("/a/b", "/a", "/ab", "/")] == [True, False, False, False]
    assert is_below("/a", "/")
