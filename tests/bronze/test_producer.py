"""The commit of the program: from a repository, a worktree, packed references, or the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from bronze.producer import VERSION, source_commit, this_producer

COMMIT, OTHER = "a1" * 20, "b2" * 20


def repository(tree: Path, head: str, files: dict[str, str]) -> Path:
    for name, text in {"HEAD": head, **files}.items():
        path = tree / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    return tree


@pytest.mark.parametrize(
    ("head", "files"),
    [
        (COMMIT, {}),
        ("ref: refs/heads/main", {"refs/heads/main": COMMIT}),
        ("ref: refs/heads/main", {"packed-refs": f"# pack-refs\n{OTHER} refs/heads/other\n{COMMIT} refs/heads/main"}),
    ],
)
def test_commit_of_a_repository_is_found(tmp_path: Path, head: str, files: dict[str, str]) -> None:
    assert source_commit(repository(tmp_path, head, files)) == COMMIT


def test_commit_of_a_worktree_is_found(tmp_path: Path) -> None:
    main = repository(tmp_path / "main", OTHER, {"refs/heads/side": COMMIT})
    work = main / ".git" / "worktrees" / "side"
    work.mkdir(parents=True)
    (work / "HEAD").write_text("ref: refs/heads/side\n", encoding="utf-8")
    (work / "commondir").write_text("../..\n", encoding="utf-8")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {work}\n", encoding="utf-8")
    assert source_commit(tree) == COMMIT


def test_environment_names_the_commit_without_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRONZE_COPIER_GIT_SHA", raising=False)
    assert source_commit(tmp_path) == "unknown"
    monkeypatch.setenv("BRONZE_COPIER_GIT_SHA", OTHER)
    assert source_commit(tmp_path) == OTHER
    assert source_commit(repository(tmp_path, COMMIT, {})) == COMMIT


def test_version_is_stated_as_released() -> None:
    assert this_producer().version == f"v{VERSION}"
