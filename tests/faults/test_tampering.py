"""Every kind of tampering is found at the level that claims it; ``python -m tests.faults.tampering`` does many more."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.tampered_place import (
    CATALOG,
    CHAIN,
    HEAD,
    Place,
    Tampering,
    audit,
    is_found,
    known_chains,
    make_place,
)
from tests.faults.tampering import KINDS, tamper
from tests.support.postgres_server import PostgresServer, postgres

__all__ = ["postgres"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Place:
    return make_place(tmp_path_factory.mktemp("tampering"), postgres)


@pytest.mark.parametrize("level", ["manifests", "files", "rows", "source", CHAIN, HEAD, CATALOG])
def test_good_destination_has_no_finding(good: Place, level: str) -> None:
    assert audit(good, level, known_chains(good)) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_tampering_is_found_where_claimed(
    good: Place, tmp_path: Path, kind: Callable[..., Tampering], seed: int
) -> None:
    done, findings = tamper(good, tmp_path / "tampered", kind, random.Random(f"{kind.__name__} {seed}"))
    assert not done.claim or is_found(done, findings), (done, [str(finding) for finding in findings])
