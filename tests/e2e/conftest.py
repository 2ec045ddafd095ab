"""Shared by the end-to-end tests: real lakes, the real program, and readers of its output.

Fixtures:
    own_environment  used by every test: no variable of the caller's environment configures the program
    sample_lakes  makes sample lakes that several tests share, each once
    sample      makes lakes of sample ledgers: ``sample(first=8, ledgers=32, ledgers_per_file=4)``; a copy each time
    copier      makes a `Copier` for a lake: its configuration, the program, and readers of what it wrote
    real_lake   makes lakes of the real ledgers of ../shared (needs the marker `ledgers`): ``real_lake(chain=1, k=4)``
    ledgers     the real ledgers of ../shared: the lines of their index, and `load(line)` for the bytes

Helpers (plain functions and classes):
    new_copier  makes a `Copier` in a given directory
    small       options of a small sample lake
    Copier      ``run`` calls the program in this process, ``process`` starts it as a separate one
    RunResult         exit status, standard output and standard error of a run
    LakeFiles   the files of a lake: unpacked, changed, restored
    tree        every file below a directory with its bytes
    wait_until  polls for the effect of another process
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard

from bronze.lake.layout import LakeLayout
from bronze.xdr import is_compiled
from pipeline.main import main
from pipeline.sample import SampleOptions, write_sample_lake
from pipeline.settings.load import VARIABLES

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared"
TABLE = "ledgers_lcm_raw"
READER_WARNING = "the XDR reader is interpreted"
#: Longest wait for a process of the program, in seconds.
TIMEOUT_S = 60.0


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clear the variables that configure the program; restore logging afterwards."""
    for name in (*VARIABLES, "CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # for worker processes
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


# ---------------------------------------------------------------------------------------------- the program


@dataclass(frozen=True)
class RunResult:
    """How a run of the program ended: its status and its output."""

    status: int
    out: str
    log: str

    @property
    def err(self) -> str:
        """Standard error, without the line that says which reader these tests run with."""
        own = [] if is_compiled() else [line for line in self.log.splitlines(True) if READER_WARNING in line]
        return "".join(line for line in self.log.splitlines(True) if line not in own)

    @property
    def failures_logged(self) -> tuple[int, str]:
        """The number of partitions whose failure was logged when it happened, and the rest of standard error."""
        lines = self.err.splitlines(keepends=True)
        rest = [
            line for line in lines if not re.match(r"\S+Z ERROR   partition \S+ \d+-\d+ (failed|is published)", line)
        ]
        return len(lines) - len(rest), "".join(rest)

    def lines(self, label: str) -> list[str]:
        """The lines of the summary that begin with `label`, without it."""
        return [line[len(label) :].strip() for line in self.out.splitlines() if line.split(" ")[0] == label]


def call(*arguments: str | Path) -> RunResult:
    """Run the program in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:  # how argparse ends
            status = end.code if isinstance(end.code, int) else 1
    return RunResult(status, out.getvalue(), err.getvalue())


def start(*arguments: str | Path, cwd: Path, under: Sequence[str] = (), **environ: str) -> subprocess.Popen[str]:
    """Start the program as a process of its own, `under` the beginning of a command line when told."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.Popen(
        [*under, sys.executable, "-m", "pipeline.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(REPOSITORY), **environ},
    )


def finish(process: subprocess.Popen[str], limit_s: float = TIMEOUT_S) -> RunResult:
    """Wait for a process of the program, at most `limit_s` seconds."""
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return RunResult(process.returncode, out, err)


def wait_until(holds: Callable[[], bool], what: str, *, limit_s: float = TIMEOUT_S, every_s: float = 0.002) -> None:
    """Ask every `every_s` seconds until it `holds`, for at most `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {limit_s} s for {what}"
        time.sleep(every_s)


@dataclass
class Copier:
    """The program with its own configuration below `root`, and readers of what it wrote there.

    Attributes:
        settings: content of the configuration file; tests change it between runs.
    """

    root: Path
    lake: Path
    settings: dict[str, Any]

    @property
    def config(self) -> Path:
        """The configuration file, written as `settings` are now."""
        path, written = self.root / "config.yaml", self.root / "config.yaml.new"
        written.write_text(yaml.safe_dump(self.settings))
        written.replace(path)  # in one step: a process may be reading it
        return path

    def run(self, *arguments: str) -> RunResult:
        """Run the program in this process: ``run()``, ``run("plan")``, ``run("--dry-run")``."""
        command, options = self._split(arguments)
        return call(*command, "--config", self.config, *options)

    def process(self, *arguments: str, under: Sequence[str] = (), **environ: str) -> RunResult:
        """Run the program as a process of its own, `under` the beginning of a command line when told."""
        return finish(self.start(*arguments, under=under, **environ))

    def start(self, *arguments: str, under: Sequence[str] = (), **environ: str) -> subprocess.Popen[str]:
        """Start the program as a process of its own; see `process`."""
        command, options = self._split(arguments)
        return start(*command, "--config", self.config, *options, cwd=self.root, under=under, **environ)

    @staticmethod
    def _split(arguments: tuple[str, ...]) -> tuple[list[str], list[str]]:
        own = list(arguments)
        return (own[:1], own[1:]) if own and not own[0].startswith("-") else ([], own)

    # Its output.

    def folder(self, era_id: str = "e1") -> Path:
        """The directory of an era's partitions."""
        return self.root / "data" / "bronze" / self.network / era_id / "v1" / TABLE

    @property
    def network(self) -> str:
        """The network that the settings name."""
        era = self.settings["eras"][0] if "eras" in self.settings else self.settings["era"]
        return str(era["network"])

    def partitions(self, era_id: str = "e1") -> list[tuple[int, int]]:
        """The partitions of an era that have a manifest, in ledger order."""
        return sorted(_range(path.parent) for path in self.folder(era_id).glob("range=*/_manifest.json"))

    def manifests(self, era_id: str = "e1") -> dict[tuple[int, int], dict[str, Any]]:
        """The manifests of an era's partitions."""
        return {
            part: json.loads((self.folder(era_id) / f"range={part[0]}-{part[1]}" / "_manifest.json").read_bytes())
            for part in self.partitions(era_id)
        }

    def parquet(self, part: tuple[int, int], era_id: str = "e1") -> Path:
        """The parquet file of a partition."""
        name = f"{part[0]}-{part[1]}"
        return self.folder(era_id) / f"range={name}" / f"part-{name}.parquet"

    def rows(self, era_id: str = "e1") -> list[dict[str, Any]]:
        """Every row of an era, in ledger order of its partitions."""
        tables = [pq.ParquetFile(self.parquet(part, era_id)).read() for part in self.partitions(era_id)]
        return pa.concat_tables(tables).to_pylist() if tables else []

    def ledgers(self, era_id: str = "e1") -> list[int]:
        """The ledgers of an era, in the order of its partitions."""
        return [
            ledger
            for part in self.partitions(era_id)
            for ledger in pq.ParquetFile(self.parquet(part, era_id))
            .read(["ledger_sequence"])
            .to_pydict()["ledger_sequence"]
        ]

    def events(self, era_id: str = "e1") -> list[dict[str, Any]]:
        """The audit events of an era, as their links order them."""
        files = (self.root / "pas").glob(f"{self.network}_{era_id}_v1_*.json")
        found = {
            event["chain"]["prev_event_hash"]: event for event in (json.loads(path.read_bytes()) for path in files)
        }
        known = {event["chain"]["event_hash"] for event in found.values()}
        at = next((previous for previous in found if previous not in known), "")
        ordered = []
        while at in found:
            ordered.append(found.pop(at))
            at = ordered[-1]["chain"]["event_hash"]
        assert not found, "the chain is broken"
        return ordered

    def committed(self, era_id: str = "e1") -> list[tuple[int, int]]:
        """The partitions that the era's chain of events holds, in its order."""
        parts = [event["partition"] for event in self.events(era_id)]
        return [(part["ledger_start"], part["ledger_end"]) for part in parts]

    @property
    def heads(self) -> dict[str, str]:
        """The chain heads; none when there is no file of them."""
        path = self.root / "pas" / "pas-chain-heads.json"
        return dict(json.loads(path.read_bytes())) if path.exists() else {}

    def checkpoint(self, era_id: str | None = None) -> int:
        """The last committed ledger according to the checkpoint; 0 without one."""
        name = "checkpoint.json" if era_id is None else f"checkpoint_{self.network}_{era_id}_v1.json"
        path = self.root / "state" / name
        return int(json.loads(path.read_bytes())["last_committed_ledger"]) if path.exists() else 0

    def leftovers(self) -> list[str]:
        """Files that no finished run may leave: temporary files, files without a manifest."""
        loose = [
            path
            for path in (self.root / "data").rglob("*")
            if path.is_file() and not (path.parent / "_manifest.json").exists()
        ]
        return sorted(path.name for path in [*loose, *self.root.rglob("_temporary/*")])

    def published(self) -> dict[str, bytes]:
        """The parquet files with their bytes."""
        return {name: data for name, data in tree(self.root / "data").items() if name.endswith(".parquet")}

    def documents(self) -> dict[str, Any]:
        """Manifests and events without timestamps and what depends on them: equal for two copies of a lake."""
        found: dict[str, Any] = {}
        for name, data in [*tree(self.root / "data").items(), *tree(self.root / "pas").items()]:
            if not name.endswith(".json") or name == "pas-chain-heads.json":
                continue
            document = json.loads(data)
            for key in ("created_at", "timestamp", "event_id", "chain"):
                document.pop(key, None)
            found[name] = document
        return found

    def verified(self) -> bool:
        """Whether `verify` finds neither a problem nor a gap."""
        ran = self.run("verify")
        return ran.status == 0 and "DOES NOT HOLD" not in ran.out and "gap" not in ran.out


def _range(folder: Path) -> tuple[int, int]:
    low, _, high = folder.name.removeprefix("range=").partition("-")
    return int(low), int(high)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def era(era_id: str = "e1", **keys: Any) -> dict[str, Any]:
    """An era of the sample's network; `keys` are those of the settings."""
    return {"era_id": era_id, "version_label": "v1", "network": "standalone", **keys}


def new_copier(
    root: Path, lake: Path, *, eras: list[dict[str, Any]] | None = None, settings: Any = (), **keys: Any
) -> Copier:
    """See the fixture `copier`."""
    root.mkdir()
    chosen: dict[str, Any] = {"eras": eras} if eras else {"era": era(**keys)}
    written: dict[str, Any] = {
        **chosen,
        "source": {"mode": "local", "local_path": str(lake)},
        "storage": {"backend": "local", "local_dir": str(root / "data")},
        "pas": {"enabled": True, "backup_dir": str(root / "pas")},
        "checkpoint": {"dir": str(root / "state")},
        "perf": {"workers": 1, "retry_backoff_ms": 1},
        "logging": {"level": "warn"},
    }
    for section, values in dict(settings).items():
        written[section] = {**written.get(section, {}), **values}
    return Copier(root, lake, written)


@pytest.fixture
def copier(tmp_path: Path) -> Callable[..., Copier]:
    """``copier(lake, ledger_start=8, ledger_end=39, partition_size=8)``, or ``copier(lake, eras=[era("a", …), …])``.

    `settings` are further sections of the configuration; `name` tells several copiers of one test apart.
    """

    def make(lake: Path, *, name: str = "copy", **keys: Any) -> Copier:
        return new_copier(tmp_path / name, lake, **keys)

    return make


# ------------------------------------------------------------------------------------------------- the lakes


@lru_cache(maxsize=1)
def _packer() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=3, write_checksum=True)


@dataclass
class LakeFiles:
    """The files of a lake."""

    root: Path
    layout: LakeLayout
    _kept: dict[Path, bytes] = field(default_factory=dict)

    def path(self, ledger: int) -> Path:
        """The file that holds `ledger`."""
        return self.root / self.layout.key(ledger)

    def content(self, ledger: int) -> bytes:
        """The decompressed batch that holds `ledger`."""
        return zstandard.ZstdDecompressor().decompress(self.path(ledger).read_bytes(), max_output_size=1 << 26)

    def metas(self, ledger: int) -> list[bytes]:
        """The close metas of the file that holds `ledger`."""
        from bronze.ledger.close_meta import read_object

        raw = self.content(ledger)
        return [raw[meta.start : meta.end] for meta in read_object(raw, 0, len(raw))[1]]

    def meta(self, ledger: int) -> bytes:
        """The close meta of `ledger`."""
        return self.metas(ledger)[ledger - max(2, self.layout.file_start(ledger))]

    def put(self, ledger: int, packed: bytes) -> None:
        """Replace the bytes of the file that holds `ledger`; `repair` brings them back."""
        path = self.path(ledger)
        self._kept.setdefault(path, path.read_bytes())
        path.write_bytes(packed)

    def put_content(self, ledger: int, raw: bytes) -> None:
        """Replace what the file that holds `ledger` decompresses to."""
        self.put(ledger, _packer().compress(raw))

    def put_meta(self, ledger: int, meta: bytes) -> None:
        """Replace the close meta of `ledger`; the others of its file stay."""
        first = max(2, self.layout.file_start(ledger))
        metas = self.metas(ledger)
        metas[ledger - first] = meta
        self.put_content(ledger, batch(first, metas))

    def remove(self, ledger: int) -> None:
        """Remove the file that holds `ledger`; `repair` brings it back."""
        path = self.path(ledger)
        self._kept.setdefault(path, path.read_bytes())
        path.unlink()

    def repair(self) -> None:
        """Bring every file back that was changed."""
        for path, packed in self._kept.items():
            path.unlink(missing_ok=True)
            path.write_bytes(packed)
        self._kept.clear()


def batch(first: int, metas: list[bytes]) -> bytes:
    """The XDR of a LedgerCloseMetaBatch."""
    return struct.pack(">III", first, first + len(metas) - 1, len(metas)) + b"".join(metas)


def pack(raw: bytes) -> bytes:
    """One checksummed zstd frame of `raw`."""
    return _packer().compress(raw)


def small(**options: Any) -> SampleOptions:
    """Options of a sample lake, small unless told otherwise."""
    return SampleOptions(**{"transactions": 2, "files_per_directory": 4, **options})


@pytest.fixture(scope="session")
def sample_lakes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[SampleOptions], Path]:
    """Makes each sample lake once; nobody changes it."""
    folder = tmp_path_factory.mktemp("samples")

    def make(options: SampleOptions) -> Path:
        lake = folder / sha256(repr(options).encode()).hexdigest()[:16]
        if not lake.exists():
            write_sample_lake(lake, options)
        return lake

    return make


@pytest.fixture
def sample(sample_lakes: Callable[[SampleOptions], Path], tmp_path: Path) -> Callable[..., LakeFiles]:
    """``sample(first=8, ledgers=32, ledgers_per_file=4)``: a lake of sample ledgers, fit to be damaged."""
    made: list[Path] = []

    def make(**options: Any) -> LakeFiles:
        chosen = small(**options)
        lake = tmp_path / f"lake{len(made)}"
        made.append(lake)
        shutil.copytree(sample_lakes(chosen), lake)
        return LakeFiles(lake, chosen.layout)

    return make


# ------------------------------------------------------------------------------------------ the real ledgers


@lru_cache(maxsize=1)
def make_lake() -> ModuleType:
    """The tool ../shared/tools/make_lake.py as a module."""
    spec = util.spec_from_file_location("make_lake", SHARED / "tools" / "make_lake.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class RealLedgers:
    """The real ledgers of ../shared: the lines of their index, their chains, and their bytes."""

    lines: list[dict[str, Any]]
    chains: list[dict[str, Any]]

    def load(self, line: dict[str, Any]) -> bytes:
        """The close meta of a line."""
        return bytes(make_lake().read_ledger(line["file"]))

    def of_chain(self, chain: int) -> list[dict[str, Any]]:
        """The lines of a chain, in ledger order."""
        by_file = {line["file"]: line for line in self.lines}
        return sorted((by_file[name] for name in self.chains[chain]["files"]), key=lambda line: line["ledger_seq"])


@pytest.fixture(scope="session")
def ledgers() -> RealLedgers:
    """The real ledgers; a test that asks for them is skipped where they are not."""
    folder = SHARED / "ledgers"
    if not (folder / "index.jsonl").exists():
        pytest.skip(f"no real ledgers at {folder}")
    lines, chains = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("index.jsonl", "chains.jsonl")
    )
    return RealLedgers(lines, chains)


@pytest.fixture
def real_lake(ledgers: RealLedgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """``real_lake("--chain", "1", "-k", "4")``: what ../shared/tools/make_lake.py makes of these arguments."""

    def make(*arguments: str) -> Path:
        lake = tmp_path / "real"
        monkeypatch.setattr(sys, "argv", ["make_lake.py", str(lake), *arguments])
        with contextlib.redirect_stdout(io.StringIO()):
            make_lake().main()
        return lake

    return make
