"""The code on docs/verifying.md, run block by block on a copy that the program made."""

from __future__ import annotations

import doctest
import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from nacl.exceptions import BadSignatureError

from tests.e2e.conftest import Copier, LakeFiles

PAGE = Path(__file__).parents[2] / "docs" / "verifying.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def audited(
    sample: Callable[..., LakeFiles],
    copier: Callable[..., Copier],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Copier:
    """A copy, where the page's paths lead to it from the working directory."""
    copy = copier(sample(first=8, ledgers=16).root, ledger_start=8, ledger_end=23, partition_size=8)
    here = tmp_path / "auditor"
    here.mkdir()
    copy.run()
    shutil.copytree(copy.root / "data", here / "data")
    shutil.copytree(copy.settings["pas"]["backup_dir"], here / "pas-backup")
    monkeypatch.chdir(here)
    return copy


def run_blocks() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def test_recipes_hold_for_a_copy(audited: Copier) -> None:
    names = run_blocks()
    assert len(BLOCKS) == 5
    assert len(names["signature"]) == 64  # the sample lake's ledgers are signed, so that the last block checked one


@pytest.mark.parametrize("what", ["event", "parquet", "signature"])
def test_recipes_find_tampering(audited: Copier, what: str) -> None:
    if what == "event":
        for file in Path("pas-backup").glob("*_*-*.json"):
            file.write_text(file.read_text().replace('"row_count": 8', '"row_count": 9'))
    elif what == "parquet":
        for file in Path("data").rglob("part-*.parquet"):
            pq.write_table(pq.ParquetFile(file).read(), file, compression="none")
    else:
        good = run_blocks()
        assert hashlib.sha256(good["header"]).hexdigest() == good["row"]["ledger_hash"]
        good["signature"] = bytes(64)
        with pytest.raises(BadSignatureError):
            exec(compile(BLOCKS[-1], str(PAGE), "exec"), good)
        return
    with pytest.raises(AssertionError):
        run_blocks()


def test_python_session_on_page_holds(audited: Copier) -> None:
    failed, tried = doctest.testfile(
        str(PAGE), module_relative=False, globs={"bronze": str(Path("data/bronze").absolute())}
    )
    assert (failed, tried) == (0, 6)
