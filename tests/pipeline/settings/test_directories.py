"""The directories that the settings name, checked on a real file system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation
from pipeline.settings import LAKE_SECTIONS, Locations, checked_locations, load


@pytest.fixture
def problems_of(tmp_path: Path) -> Callable[..., list[str]]:
    """The problems of local settings under a directory, with some of them changed."""
    (tmp_path / "lake").mkdir()
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")

    def check(**changed: str) -> list[str]:
        given = {
            "SOURCE_LOCAL_PATH": f"{tmp_path}/lake",
            "STORAGE_LOCAL_DIR": f"{tmp_path}/out",
            "CHECKPOINT_DIR": f"{tmp_path}/state",
            "PAS_BACKUP_DIR": f"{tmp_path}/pas",
            "PAS_ENABLED": "true",
        }
        before = sorted(tmp_path.rglob("*"))
        settings = load(environ=given | {key: value.format(tmp=tmp_path) for key, value in changed.items()})
        found: list[str] = []
        try:
            checked_locations(settings)
        except ConfigError as error:
            found = str(error).splitlines()
        assert sorted(tmp_path.rglob("*")) == before  # nothing is created
        return [problem.replace(str(tmp_path), "") for problem in found]

    return check


@pytest.mark.parametrize(
    ("changed", "problems"),
    [
        ({}, []),
        ({"STORAGE_LOCAL_DIR": "{tmp}/a/b/c"}, []),  # can be created, with its parents
        ({"SOURCE_LOCAL_PATH": "file://{tmp}/lake", "CHECKPOINT_DIR": "file://{tmp}/state"}, []),
        ({"SOURCE_LOCAL_PATH": "{tmp}/none"}, ["source.local_path: '/none' does not exist"]),
        ({"SOURCE_LOCAL_PATH": "{tmp}/file"}, ["source.local_path: '/file' is not a directory"]),
        ({"STORAGE_LOCAL_DIR": "{tmp}/file"}, ["storage.local_dir: '/file' is not a directory"]),
        (
            {"CHECKPOINT_DIR": "{tmp}/file/x/y"},
            ["checkpoint.dir: '/file/x/y' cannot be created: its parent '/file' is not a directory"],
        ),
        ({"PAS_BACKUP_DIR": "{tmp}/nowhere"}, ["pas.backup_dir: '/nowhere' is not a directory"]),  # a broken link
        ({"CHECKPOINT_DIR": "{tmp}/" + "x" * 300}, ["cannot be examined: File name too long"]),
        # what is switched off is not checked
        ({"PAS_BACKUP_DIR": "{tmp}/file", "PAS_ENABLED": "false"}, []),
        ({"CHECKPOINT_DIR": "{tmp}/file", "CHECKPOINT_ENABLED": "false"}, []),
        # buckets
        ({"CHECKPOINT_DIR": "gs://bucket/state"}, []),
        ({"CHECKPOINT_DIR": "gs://b/state"}, ["checkpoint.dir: 'gs://b/state' does not name a bucket"]),
        ({"PAS_BACKUP_DIR": "s3://bucket/../pas"}, ["pas.backup_dir: 's3://bucket/../pas' has empty, '.' or '..'"]),
        ({"PAS_BACKUP_DIR": "ftp://bucket/pas"}, ["pas.backup_dir: 'ftp://bucket/pas' is not a storage location"]),
        ({"PAS_BACKUP_DIR": "file://host/pas"}, ["'file://host/pas' names a host"]),
        ({"SOURCE_MODE": "gcs", "SOURCE_GCS_BUCKET": "bucket"}, []),
        ({"STORAGE_BACKEND": "s3", "STORAGE_S3_BUCKET": "s3://bucket/a"}, []),
        # all at once
        (
            {"SOURCE_LOCAL_PATH": "{tmp}/none", "STORAGE_LOCAL_DIR": "{tmp}/file"},
            ["source.local_path", "storage.local_dir"],
        ),
    ],
)
def test_unusable_directories_are_problems(
    problems_of: Callable[..., list[str]], changed: dict[str, str], problems: list[str]
) -> None:
    found = problems_of(**changed)
    assert len(found) == len(problems)
    assert all(problem in sentence for problem, sentence in zip(problems, found, strict=True))


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc, where the superuser may not write either")
def test_impossible_directory_is_a_problem(problems_of: Callable[..., list[str]]) -> None:
    (problem,) = problems_of(STORAGE_LOCAL_DIR="/proc/version/out")
    assert "is not a directory" in problem


def test_checked_locations_are_returned(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    settings = load(
        environ={
            "SOURCE_LOCAL_PATH": f"{tmp_path}/lake",
            "STORAGE_LOCAL_DIR": f"{tmp_path}/out",
            "CHECKPOINT_DIR": f"{tmp_path}/state",
        }
    )
    expected = Locations(
        lake=StorageLocation(f"{tmp_path}/lake"),
        dataset=StorageLocation(f"{tmp_path}/out"),
        prefix="bronze/",
        events=None,
        checkpoint=StorageLocation(f"{tmp_path}/state"),
    )
    assert checked_locations(settings) == expected
    (tmp_path / "lake").rmdir()
    assert checked_locations(settings, unused=LAKE_SECTIONS).lake is None
