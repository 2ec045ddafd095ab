"""The line of the summary that says what was proven."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from pipeline.commands.authentic_text import authentic_lines

if TYPE_CHECKING:
    from pipeline.launch.prepare import Prepared
    from pipeline.telemetry.totals import Totals

CHAIN = "pubnet/e1/v1"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        ("signatures", "1,200 signatures"),
        ("transaction_proofs", "1,200 transaction proofs"),
        ("failed_signatures", "1,200 signatures or proofs do not hold"),
        ("failed_events", "1,200 contract events do not hold"),
        ("rewritten_events", "1,200 contract events rewritten (CAP-67)"),
        ("unproven", "1,200 ledgers without proof"),
    ],
)
def test_every_count_is_said(count: str, words: str) -> None:
    names = ("signatures", "transaction_proofs", "failed_signatures", "failed_events", "rewritten_events", "unproven")
    era = SimpleNamespace(chain=CHAIN, network="pubnet")
    prepared = cast("Prepared", SimpleNamespace(plans=[SimpleNamespace(era=era)]))
    totals = cast("Totals", SimpleNamespace(proofs={CHAIN: dict.fromkeys(names, 0) | {count: 1200}}))
    assert list(authentic_lines(prepared, totals, {}, {})) == [f"authentic    pubnet: {words}"]
