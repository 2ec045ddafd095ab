"""Fields of log records: they hold inside their block, in copies of its context, and nowhere else."""

from __future__ import annotations

import threading
from contextvars import copy_context

from bronze.log_fields import correlation_id, current_fields, log_fields, partition_fields


def test_fields_hold_inside_their_block() -> None:
    outside = dict(current_fields())
    with log_fields(era_id="e", attempt=None):
        with log_fields(attempt=2):
            assert current_fields() == outside | {"era_id": "e", "attempt": 2}
        assert current_fields() == outside | {"era_id": "e"}
    assert current_fields() == outside


def test_threads_have_fields_of_copied_context() -> None:
    seen: list[dict[str, object]] = []
    with log_fields(era_id="e"):
        context = copy_context()
        for thread in (
            threading.Thread(target=lambda: seen.append(dict(current_fields()))),
            threading.Thread(target=lambda: context.run(lambda: seen.append(dict(current_fields())))),
        ):
            thread.start()
            thread.join()
    assert ["era_id" in fields for fields in seen] == [False, True]


def test_correlation_id_is_deterministic() -> None:
    ids = {correlation_id(*at) for at in (("r", "n/e/v", 0, 9), ("r", "n/e/v", 10, 19), ("s", "n/e/v", 0, 9))}
    assert len(ids) == 3
    fields = partition_fields("r", "n/e/v", 0, 9)
    assert fields["correlation_id"] in ids
    assert (fields["network"], fields["era_id"], fields["version_label"]) == ("n", "e", "v")
