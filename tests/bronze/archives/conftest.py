"""Fixtures for archives.

Fixtures:
    headers  the headers of ledgers 1 to 191 (three checkpoints), by ledger: linked, invented
    archive  a directory with an archive of them
    real     the directory with the real archives of ../shared
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.made_archive import header_of, make_archive
from tests.support.made_ledgers import chain

REAL = Path(__file__).parents[4] / "shared" / "archives"


@pytest.fixture(scope="session")
def headers() -> dict[int, bytes]:
    return {number: header_of(meta) for number, meta in enumerate(chain(1, 191), start=1)}


@pytest.fixture
def archive(tmp_path: Path, headers: dict[int, bytes]) -> Path:
    return make_archive(tmp_path / "archive", headers)


@pytest.fixture(scope="session")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip(f"no real archives at {REAL}")
    return REAL
