"""The lines of a plan about what exists already, missing lake objects, bytes, and the time to expect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bronze.partitioning.partition import Partition
from pipeline.launch.forecast import EraForecast, ObjectCount
from pipeline.launch.pace import Basis, ExpectedTime
from pipeline.sizes import format_size, number_of
from pipeline.telemetry.progress_line import format_duration

#: Ranges of missing ledgers, and partitions, that are named; the rest is counted.
_LISTED = 20
_LISTED_PARTITIONS = 5


def forecast_lines(forecast: EraForecast) -> Iterator[str]:
    """What a run would do with one era."""
    yield f"  exists      {_exists(forecast)}"
    if not forecast.to_copy:
        return
    partitions, ledgers = number_of(len(forecast.to_copy), "partition"), number_of(forecast.ledgers, "ledger")
    yield f"  to copy     {partitions}, {ledgers} of {forecast.to_copy[0].start}-{forecast.to_copy[-1].end}"
    count = forecast.objects
    if count is None:
        yield "  objects     not counted (--count none)"
    else:
        yield from _object_lines(count)
    about = "" if count is None or count.is_complete else "about "
    if forecast.bytes_to_read is None:
        yield "  to read     unknown: no object's size is known"
    else:
        yield f"  to read     {about}{format_size(forecast.bytes_to_read)}"
    if forecast.bytes_to_write is None:
        why = "no object's size is known" if forecast.bytes_to_read is None else "bronze.compression is not the lake's"
        yield f"  to write    unknown: {why}"
    else:
        size = format_size(forecast.bytes_to_write)
        yield f"  to write    about {size}: as much as is read, within a tenth, since both are zstd"
    yield f"  time        {_time(forecast.time)}"


def total_lines(forecasts: Sequence[EraForecast]) -> Iterator[str]:
    """What a run would do with all of several eras that have something to copy."""
    copied = [one for one in forecasts if one.to_copy]
    if len(copied) < 2:
        return
    partitions, ledgers = sum(len(one.to_copy) for one in copied), sum(one.ledgers for one in copied)
    yield f"all eras     {partitions:,} partitions, {ledgers:,} ledgers to copy"
    reads = [one.bytes_to_read for one in copied if one.bytes_to_read is not None]
    if len(reads) == len(copied):
        is_exact = all(one.objects is not None and one.objects.is_complete for one in copied)
        yield f"to read      {'' if is_exact else 'about '}{format_size(sum(reads))}"
    missing = sum(one.objects.missing for one in copied if one.objects)
    if missing:
        yield f"missing      {number_of(missing, 'lake object')}"
    shortest = [one.time.shortest_s for one in copied if one.time.shortest_s is not None]
    longest = [one.time.longest_s for one in copied if one.time.longest_s is not None]
    yield f"time         {_range(sum(shortest), sum(longest)) if len(longest) == len(copied) else 'unknown'}"


def _exists(forecast: EraForecast) -> str:
    found = forecast.published
    if not found:
        return "nothing: no partition is published yet"
    words = f"{number_of(len(found), 'partition')} of {found[0].start}-{max(one.end for one in found)}"
    if forecast.skipped:
        words += f"; {forecast.skipped:,} of those above are among them, and skipped"
    if forecast.replaced:
        words += f"; {forecast.replaced:,} of those above are among them, and made anew"
    return words


def _object_lines(count: ObjectCount) -> Iterator[str]:
    there = count.listed - count.missing
    if count.is_complete:
        yield f"  objects     {there:,} of {count.expected:,} needed are in the lake"
    else:
        requests = number_of(-(-count.expected // 1000), "list request")
        yield (
            f"  objects     {count.expected:,} are needed; of a sample of {count.listed:,}, {there:,} are in the lake."
            f" The others are not counted: --count all does it, in about {requests}"
        )
    if count.missing:
        words = _named(count.missing, count.missing_ledgers, "not in the lake")
        words += f"; the first is {count.first_missing}" if count.missing > 1 else f": {count.first_missing}"
        if count.behind_newest:
            which = "all" if count.behind_newest == count.missing else f"{count.behind_newest:,}"
            words += f"; {which} of them behind the lake's newest ledger"
        yield f"  missing     {words}"
    if count.empty:
        yield f"  empty       {_named(count.empty, count.empty_ledgers, 'of 0 bytes')}"
    if count.doubles:
        yield (
            f"  doubles     {number_of(count.doubles, 'object')} under both extensions: a run compares them, and fails"
            " the partition if they differ"
        )
    if count.lacking:
        named = ", ".join(map(str, count.first_lacking[:_LISTED_PARTITIONS]))
        more = f" and {count.lacking - _LISTED_PARTITIONS:,} more" if count.lacking > _LISTED_PARTITIONS else ""
        yield (
            f"  will fail   {number_of(count.lacking, 'partition')} for want of them: {named}{more}. The others are"
            " published; the chain stops before the first, until the lake has its objects"
        )


def _named(number: int, ledgers: Sequence[Partition], what: str) -> str:
    ranges = [str(one.start) if one.start == one.end else str(one) for one in ledgers[:_LISTED]]
    noun = "ledger" if ranges[0].isdigit() and len(ranges) == 1 else "ledgers"
    more = " and more" if len(ledgers) > _LISTED else ""
    return f"{number_of(number, 'object')} {what}, of {noun} {', '.join(ranges)}{more}"


def _time(expected: ExpectedTime) -> str:
    if expected.shortest_s is None or expected.longest_s is None:
        return "unknown: nothing is published yet that would tell, nor are the bytes known"
    words = _range(expected.shortest_s, expected.longest_s)
    if expected.basis is Basis.PUBLISHED:
        return (
            f"{words}, as fast as the last {expected.sampled} partitions were published"
            f" ({expected.ledgers_per_s or 0:,.0f} ledgers/s)"
        )
    workers = number_of(expected.workers, "worker")
    return f"{words} with {workers}, as measured on other machines (docs/operations.md); start-up not counted"


def _range(shortest: float, longest: float) -> str:
    if longest < 1:
        return "less than a second"
    least, most = format_duration(shortest), format_duration(longest)
    return f"about {least}" if least == most else f"{least} to {most}"
