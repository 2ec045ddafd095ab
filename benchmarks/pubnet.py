"""All of pubnet on a fleet, on paper: ``python -m benchmarks.pubnet`` prints the tables of docs/scale.md.

What was measured stands here with where it comes from; everything else follows from it by the functions below. Each
ledger is read with one request (K = 1), verified, and written once; prices are list prices in us-central1.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass

#: Ledger, raw bytes and bytes as stored (zstd) of real pubnet ledgers, at heights that span its history; the one before
#: the last is the mean of ten neighbours. Between two of them sizes are taken to change evenly.
SIZES = (
    (2, 412, 367),
    (6_154_623, 412, 367),
    (9_652_679, 2_952, 966),
    (16_154_623, 3_544, 1_180),
    (26_154_623, 41_552, 7_674),
    (36_154_623, 307_180, 55_951),
    (46_154_623, 1_112_744, 131_715),
    (50_733_210, 1_046_040, 126_366),
    (53_312_000, 372_480, 63_652),
    (60_659_332, 1_138_776, 135_383),
    (63_092_986, 1_058_891, 121_888),
    (65_000_000, 1_058_891, 121_888),
)
#: Milliseconds of CPU for each ledger read from and written to an object store (docs/performance.md): of 372,480 raw
#: bytes and of 1,343,024. What lies between and beyond is taken to be a straight line.
CPU_MS = ((372_480, 5.0), (1_343_024, 16.4))
#: Of one worker's ledgers a second, so many does each of two get (1.695 / 2, docs/performance.md).
BESIDE_ANOTHER = 0.85
#: Requests of one partition beside its ledgers, and of its commit, that change or list something, and that read.
PUBLISH_WRITES, PUBLISH_READS = 6, 6
COMMIT_WRITES, COMMIT_READS = 4, 8
#: Bytes of each part of an upload.
PART_BYTES = 8 << 20
#: Google takes one update of an object a second: the checkpoint and the chain heads change with each commit.
COMMIT_S = 1.0

#: Dollars: a vCPU and a GB of memory of a batch worker for an hour, a GB of its disk for an hour; a thousand requests
#: that write or list, and that read; a GB stored for a month.
VCPU_HOUR, GB_HOUR, DISK_GB_HOUR = 0.056, 0.003557, 0.000054
WRITES_1000, READS_1000 = 0.005, 0.0004
GB_MONTH = 0.020


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The workers.

    Attributes:
        disk_gb: of each worker.
    """

    workers: int = 40
    vcpus: int = 2
    memory_gb: float = 8.0
    disk_gb: int = 30

    @property
    def hour(self) -> float:
        """Dollars that one worker costs in an hour."""
        return self.vcpus * VCPU_HOUR + self.memory_gb * GB_HOUR + self.disk_gb * DISK_GB_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run over a range of ledgers takes.

    Attributes:
        raw, stored: bytes of the ledgers as XDR, and as the lake and the partitions store them.
        cpu_hours: of one core like the one that was measured.
        encode_hours: of the whole fleet.
        commit_hours: of the sequencer, if nothing is encoded meanwhile.
    """

    ledgers: int
    partitions: int
    raw: float
    stored: float
    cpu_hours: float
    encode_hours: float
    commit_hours: float
    fleet: Fleet

    @property
    def reads(self) -> int:
        """Requests that read."""
        return self.ledgers + self.partitions * (PUBLISH_READS + COMMIT_READS)

    @property
    def writes(self) -> int:
        """Requests that write or list, parts of uploads included."""
        return round(self.stored / PART_BYTES) + self.partitions * (PUBLISH_WRITES + COMMIT_WRITES)

    @property
    def compute(self) -> float:
        """Dollars for the workers: all while they encode, one while it commits."""
        return self.fleet.hour * (self.fleet.workers * self.encode_hours + self.commit_hours)

    @property
    def requests(self) -> float:
        """Dollars for requests."""
        return self.reads / 1000 * READS_1000 + self.writes / 1000 * WRITES_1000

    @property
    def month(self) -> float:
        """Dollars to store what was published for a month."""
        return self.stored / 1e9 * GB_MONTH


def cpu_ms(raw: float) -> float:
    """Milliseconds of CPU of a ledger of `raw` bytes."""
    (low, at_low), (high, at_high) = CPU_MS
    return at_low + (raw - low) * (at_high - at_low) / (high - low)


def estimate(first: int, last: int, fleet: Fleet, partition_size: int = 10_000) -> Estimate:
    """A run over the ledgers from `first` to `last`, inclusive, on `fleet`; they lie within `SIZES`."""
    raw = stored = 0.0
    for (low, raw_low, stored_low), (high, raw_high, stored_high) in itertools.pairwise(SIZES):
        start, end = max(first, low), min(last + 1, high)
        if start < end:
            middle = ((start + end) / 2 - low) / (high - low)
            raw += (end - start) * (raw_low + middle * (raw_high - raw_low))
            stored += (end - start) * (stored_low + middle * (stored_high - stored_low))
    ledgers, partitions = last - first + 1, -(-(last - first + 1) // partition_size)
    cpu = ledgers * cpu_ms(raw / ledgers) / 3.6e6
    return Estimate(
        ledgers=ledgers,
        partitions=partitions,
        raw=raw,
        stored=stored,
        cpu_hours=cpu,
        encode_hours=cpu / (fleet.workers * fleet.vcpus * BESIDE_ANOTHER),
        commit_hours=partitions * COMMIT_S / 3600,
        fleet=fleet,
    )


def table(fleet: Fleet) -> list[str]:
    """The lines of the table in docs/scale.md: all of pubnet, and a million ledgers of three times."""
    rows = [
        ("", "ledgers", "raw TB", "stored TB", "CPU hours", "encoding", "commits", "reads", "writes", "compute",
         "requests", "stored a month"),
        *(
            (name, f"{one.ledgers / 1e6:.0f} M", f"{one.raw / 1e12:.3g}", f"{one.stored / 1e12:.3g}",
             f"{one.cpu_hours:.3g}", f"{one.encode_hours:.2g} h", f"{one.commit_hours:.2g} h",
             f"{one.reads / 1e6:.3g} M", f"{one.writes / 1e6:.2g} M", f"${one.compute:.2f}", f"${one.requests:.2f}",
             f"${one.month:.2f}")
            for name, one in (
                ("all", estimate(2, 64_999_999, fleet)),
                ("from 10,000,000", estimate(10_000_000, 10_999_999, fleet)),
                ("from 30,000,000", estimate(30_000_000, 30_999_999, fleet)),
                ("from 63,000,000", estimate(63_000_000, 63_999_999, fleet)),
            )
        ),
    ]  # fmt: skip
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0].replace("|  |", "| |"), "|---" * len(rows[0]) + "|", *lines[1:]]


def cost_lines(fleet: Fleet) -> list[str]:
    """The rows of the table in docs/dataflow.md: a million ledgers from four of them on."""
    made = [
        (first, estimate(first, first + 999_999, fleet)) for first in (10_000_000, 30_000_000, 46_000_000, 63_000_000)
    ]
    return [
        f"| {first:,} | {one.stored / 1e9:.3g} GB | ${one.compute:.2f} | ${one.requests:.2f} |" for first, one in made
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pubnet", description=__doc__.split("\n\n")[0])
    parser.add_argument("--workers", type=int, default=40)
    parser.add_argument("--vcpus", type=int, default=2, help="of each worker")
    options = parser.parse_args()
    print("\n".join(table(Fleet(workers=options.workers, vcpus=options.vcpus))))


if __name__ == "__main__":
    main()
