"""The targets, and the comparison of measurements with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Medians = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of one lake's cases: CPU and wall in seconds, memory in bytes."""

    lake: str
    ledgers: int
    stored_bytes: int
    parquet_bytes: int
    medians: Medians

    def cpu(self, case: str) -> float:
        """CPU milliseconds a ledger."""
        return self.medians[case]["cpu"] / self.medians[case]["count"] * 1000

    def wall(self, case: str) -> float:
        """Wall seconds of the whole case."""
        return self.medians[case]["wall"]

    def steady(self, case: str) -> float:
        """Wall time as pieces of work that could have been done in it: what the speed of the cores does not change."""
        return self.medians[case]["steady"]

    def rss(self, case: str) -> float:
        """Peak memory in MB."""
        return self.medians[case]["peak_rss"] / 1e6

    def table(self) -> str:
        """The figures of the cases that copy."""
        lines = [f"  {'case':12} {'CPU ms/ledger':>14} {'ledgers/s':>10} {'peak MB':>8}"]
        cases = (
            "primitives",
            "loop",
            "one",
            "unproven",
            "observed",
            "two",
            "four",
            "alone",
            "rss100",
            "rss1000",
            "rss20000",
            "near",
            "far",
            "bare",
            "verify_rows",
            "verify_two",
        )
        for case in (case for case in cases if case in self.medians):
            rate = self.medians[case]["count"] / self.wall(case)
            lines.append(f"  {case:12} {self.cpu(case):14.3f} {rate:10.0f} {self.rss(case):8.0f}")
        if "hashlib" in self.medians:
            lines.append(f"  {'files':12} {'MB/s of CPU':>14} {'peak MB':>19}")
            for case in ("sha256sum", "hashlib", "verify_files"):
                rate = self.parquet_bytes / self.medians[case]["cpu"] / 1e6
                lines.append(f"  {case:12} {rate:14.0f} {self.rss(case):19.0f}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target and what was measured."""

    what: str
    value: float
    bound: float
    at_least: bool
    unit: str

    @property
    def missed(self) -> bool:
        """Whether the bound is broken."""
        return self.value < self.bound if self.at_least else self.value > self.bound

    def line(self) -> str:
        """As a line of the report."""
        sign = "≥" if self.at_least else "≤"
        verdict = "MISS" if self.missed else "ok"
        return f"{verdict:4} {self.what}: {self.value:.3g}{self.unit} ({sign} {self.bound:g}{self.unit})"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on something that follows from the measurements."""

    what: str
    value: Callable[[Measured], float]
    bound: float
    at_least: bool = False
    unit: str = ""

    def judge(self, measured: Measured) -> Verdict:
        """Hold the measurements against the bound."""
        return Verdict(self.what, self.value(measured), self.bound, self.at_least, self.unit)


def _flatness(measured: Measured) -> float:
    peaks = [measured.rss(case) for case in ("rss100", "rss1000", "rss20000")]
    return max(peaks) / min(peaks)


TARGETS = (
    Target("CPU of the program / CPU of the bare loop", lambda m: m.cpu("one") / m.cpu("loop"), 1.15),
    Target("CPU with authenticity / without", lambda m: m.cpu("one") / m.cpu("unproven"), 1.05),
    Target("CPU with metrics, progress and log / without", lambda m: m.cpu("observed") / m.cpu("one"), 1.02),
    Target("wall of one worker / wall of two", lambda m: m.wall("one") / m.wall("two"), 1.7, at_least=True),
    Target(
        "peak memory, one worker", lambda m: max(m.rss(f"rss{size}") for size in (100, 1000, 20000)), 350, unit=" MB"
    ),
    # What docs/performance.md promises for so many partitions in flight.
    Target("peak memory, four partitions in flight", lambda m: m.rss("four"), 190 + 4 * 50, unit=" MB"),
    Target("largest / smallest peak memory over partition sizes", _flatness, 1.10),
    Target("parquet bytes / lake bytes", lambda m: m.parquet_bytes / m.stored_bytes, 1.02),
    Target("reading one ledger, warm", lambda m: m.wall("read") * 1000, 20, unit=" ms"),
    Target("planning pubnet", lambda m: m.wall("plan"), 5, unit=" s"),
    Target("peak memory of planning pubnet", lambda m: m.rss("plan"), 300, unit=" MB"),
    Target("a partition that exists", lambda m: m.wall("skip") / m.medians["skip"]["count"] * 1000, 2, unit=" ms"),
)

#: Of `benchmarks.remote`.
REMOTE_TARGETS = (
    Target(
        "throughput 50 ms away / local, 2 workers", lambda m: m.steady("near") / m.steady("far"), 0.9, at_least=True
    ),
    # What docs/performance.md promises for so many partitions in flight.
    Target("peak memory 50 ms away, 2 workers", lambda m: m.rss("far"), 190 + 2 * 130, unit=" MB"),
)


def _free_cores(measured: Measured) -> float:
    """How many cores two threads got while they hashed: fewer than two where other programs run."""
    return measured.wall("core_one") / measured.wall("core_two")


#: Of `benchmarks.verification`.
VERIFY_TARGETS = (
    Target(
        "CPU of sha256sum / of --level files",
        lambda m: m.medians["sha256sum"]["cpu"] / m.medians["verify_files"]["cpu"],
        0.9,
        at_least=True,
    ),
    Target(
        "CPU of read + walk + hash / of --level rows",
        lambda m: m.cpu("bare") / m.cpu("verify_rows"),
        0.7,
        at_least=True,
    ),
    Target(
        "wall of one worker / wall of two, rows, for each two cores that were free",
        lambda m: m.wall("verify_rows") / m.wall("verify_two") * 2 / _free_cores(m),
        1.7,
        at_least=True,
    ),
    Target("peak memory, rows, one worker", lambda m: m.rss("verify_rows"), 350, unit=" MB"),
)
