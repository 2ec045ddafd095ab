"""The query of README.md finds a ledger in one file, whose name it computes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import yaml

from bronze.partitioning.era import Era
from bronze.partitioning.partition import grid_partitions
from tests.e2e.conftest import REPOSITORY, Copier, LakeFiles

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
(QUERY,) = re.findall(r"^```sql\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
(CONFIG,) = [text for text in re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if "era:" in text]


def test_readme_query_names_the_right_file() -> None:
    settings = yaml.safe_load(CONFIG)["era"]
    (sequence,) = re.findall(r"ledger_sequence = (\d+)", QUERY)
    era = Era(**settings)
    (partition,) = grid_partitions(era, *[start_of(int(sequence), era)] * 2)
    path = f"{settings['network']}/{settings['era_id']}/{settings['version_label']}/ledgers_lcm_raw/"
    assert f"'/lakehouse/bronze/{path}range={partition.start}-{partition.start + era.partition_size - 1}/*" in QUERY


def start_of(ledger: int, era: Era) -> int:
    """The first ledger of the file that holds `ledger`, by the formula of README.md."""
    (formula,) = re.findall(r"`(ledger_start \+ .*?)`", README)
    names = {"n": ledger, "ledger_start": era.ledger_start, "partition_size": era.partition_size}
    return int(eval(formula, {"__builtins__": {}}, names))


def test_readme_query_opens_one_file(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], tmp_path: Path
) -> None:
    copy = copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=31, partition_size=8)
    assert copy.run().status == 0
    query = re.sub(r"'.*'", f"'{copy.folder()}/range=16-23/*.parquet'", QUERY).replace("53312000", "20")
    row = next(one for one in copy.rows() if one["ledger_sequence"] == 20)
    assert duckdb.execute(query).fetchall() == [(20, row["tx_count"], row["xdr_byte_length"])]
    shown = duckdb.execute(f"EXPLAIN ANALYZE {query}").fetchall()[0][1]
    assert re.findall(r"Total Files Read: (\d+)", shown) == ["1"]
    era = Era(era_id="e1", version_label="v1", network="standalone", ledger_start=8, ledger_end=31, partition_size=8)
    assert [start_of(ledger, era) for ledger in (8, 15, 16, 20, 23, 24)] == [8, 8, 16, 16, 16, 24]
