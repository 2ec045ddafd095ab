"""The engines that other people read the partitions with, in an environment of their own.

``python -m tests.support.readers`` installs them once for this user (2 GB; PySpark and its Iceberg library only where
Java is). Tests use `readers` and are skipped where that was not done.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "readers"
LOCK, DUCKLAKE = FOLDER / "requirements.txt", FOLDER / "ducklake.txt"
ICEBERG_URL = (
    "https://repo1.maven.org/maven2/org/apache/iceberg/iceberg-spark-runtime-4.0_2.13/1.11.0/"
    "iceberg-spark-runtime-4.0_2.13-1.11.0.jar"
)
ICEBERG_SHA256 = "63c3b812549dc232c1920865ff42436df8604a9bbacd693930985c06bd97e6dc"
_INSTALL_S = 1800


@dataclass(frozen=True)
class Readers:
    """Where the engines are.

    Attributes:
        python: the interpreter that imports them.
        ducklake: a directory for PYTHONPATH, with DuckDB and DuckLake's extension in place of the newer DuckDB.
        iceberg: the Iceberg library for Spark; None where Java is missing.
    """

    python: Path
    ducklake: Path
    iceberg: Path | None


def find_readers() -> Readers | None:
    """The engines as the lock names them; None when they are not installed."""
    place = _place()
    if not (place / "complete").exists():
        return None
    iceberg = place / "iceberg.jar"
    return Readers(place / "bin" / "python", place / "ducklake", iceberg if iceberg.exists() else None)


def install() -> Readers:
    """Install the engines unless they are there.

    Raises:
        subprocess.CalledProcessError, OSError: a package or the library cannot be had.
    """
    place = _place()
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / ".readers-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one installation, however many test processes there are
        if find_readers() is None:
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, with_pip=True)
            _install_into(place)
            (place / "complete").touch()
    found = find_readers()
    assert found is not None
    return found


def _install_into(place: Path) -> None:
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lines:
        has_java = shutil.which("java") is not None
        wanted = [line for line in LOCK.read_text().splitlines() if has_java or "pyspark" not in line]
        lines.write("\n".join(wanted))
        lines.flush()
        subprocess.run([*pip, "-r", lines.name], check=True, timeout=_INSTALL_S)
    subprocess.run([*pip, "--target", str(place / "ducklake"), "-r", str(DUCKLAKE)], check=True, timeout=_INSTALL_S)
    if has_java:
        with urllib.request.urlopen(ICEBERG_URL, timeout=120) as answer:
            data = answer.read()
        found = hashlib.sha256(data).hexdigest()
        if found != ICEBERG_SHA256:
            raise OSError(f"{ICEBERG_URL} has the SHA-256 {found}, expected {ICEBERG_SHA256}")
        (place / "iceberg.jar").write_bytes(data)


def _place() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bronze-tests"
    stamp = hashlib.sha256(LOCK.read_bytes() + DUCKLAKE.read_bytes() + ICEBERG_SHA256.encode()).hexdigest()[:12]
    return cache / f"readers-{sys.version_info.major}.{sys.version_info.minor}-{stamp}"


if __name__ == "__main__":
    install()
