"""Runs the code on docs/reading.md with an engine, in the environment that the engines are installed in."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.readers import Readers

PAGE = (Path(__file__).parents[2] / "docs" / "reading.md").read_text(encoding="utf-8")
#: Spark without its user interface, and reachable by nobody else.
SPARK_DEFAULTS = """
spark.master local[2]
spark.ui.enabled false
spark.ui.showConsoleProgress false
spark.driver.host 127.0.0.1
spark.driver.bindAddress 127.0.0.1
spark.sql.shuffle.partitions 2
spark.sql.warehouse.dir {here}/warehouse
"""
_TIMEOUT_S = 300
_PRINT = """
import hashlib, json

def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return value.timestamp() if hasattr(value, "timestamp") else value

print("ANSWER", json.dumps({name: plain(globals()[name]) for name in WANTED}))
"""


@dataclass(frozen=True)
class Table:
    """A published table, and what its rows are known to be.

    Attributes:
        bronze: the prefix of all eras.
        folder: the table's directory.
        start, end, size: its era's first and last ledger, and the size of its partitions.
        ledger: the sequence that is looked for.
        one: its hash, and the SHA-256 of its bytes.
        many: number of rows, most transactions of a ledger, first close time in seconds.
    """

    bronze: Path
    folder: Path
    start: int
    end: int
    size: int
    ledger: int
    one: list[Any]
    many: list[Any]


def block(words: str) -> str:
    """The block of code on the page that holds `words`."""
    (found,) = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if words in code]
    return str(found)


class Engine:
    """Runs code on a table in the directory `here`."""

    def __init__(self, readers: Readers, table: Table, here: Path) -> None:
        self.readers, self.table, self.here = readers, table, here

    def run(self, *code: str, wanted: str = "one many", ducklake: bool = False) -> dict[str, Any]:
        """The values of the names in `wanted` after the page's first block and `code` ran.

        Times are given in seconds and bytes as their SHA-256.

        Raises:
            AssertionError: the code failed; with what it printed.
        """
        table = self.table
        lines = [
            block("def partition_file"),
            f"bronze, table = {str(table.bronze)!r}, {str(table.folder)!r}",
            f"ledger_start, ledger_end, partition_size = {table.start}, {table.end}, {table.size}",
            f"sequence = {table.ledger}",
            *(one.replace("/tmp/lakehouse", str(self.here / "lakehouse")) for one in code),
            f"WANTED = {wanted.split()!r}",
            _PRINT,
        ]
        (self.here / "lakehouse").mkdir(exist_ok=True)
        (self.here / "spark-defaults.conf").write_text(SPARK_DEFAULTS.format(here=self.here))
        environment = {**os.environ, "SPARK_CONF_DIR": str(self.here), "SPARK_LOCAL_IP": "127.0.0.1", "TZ": "UTC"}
        environment |= {"PYTHONPATH": str(self.readers.ducklake) if ducklake else "", "HOME": str(self.here)}
        ran = subprocess.run(
            [str(self.readers.python), "-W", "ignore", "-c", "\n".join(lines)],
            cwd=self.here,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        answers = [line.removeprefix("ANSWER ") for line in ran.stdout.splitlines() if line.startswith("ANSWER ")]
        assert (ran.returncode, len(answers)) == (0, 1), ran.stdout[-2000:] + ran.stderr[-4000:]
        return dict(json.loads(answers[0]))


def digest(data: bytes) -> str:
    """The SHA-256 of bytes, as `Engine.run` gives them."""
    return hashlib.sha256(data).hexdigest()
