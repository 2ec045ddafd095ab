"""All checks, in their order; those that need only themselves are made at once, in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial as partial_of
from typing import TypeVar

from bronze.timestamps import seconds_of
from pipeline.launch.checkup.check import FINDINGS, Check, Verdict, fails, holds, unchecked, warning
from pipeline.launch.checkup.clock import ServerTime, check_clock
from pipeline.launch.checkup.lake import LakeView, look_at_lake
from pipeline.launch.checkup.places import check_place
from pipeline.launch.checkup.services import (
    ServiceCheck,
    check_archive,
    check_catalog,
    check_endpoint,
    check_trusted_files,
)
from pipeline.launch.checkup.space import check_space
from pipeline.launch.prepare import Prepared, prepare
from pipeline.settings.locations import checkpoint_location, dataset_location, events_location
from pipeline.settings.model import Settings
from pipeline.sizes import number_of

#: Longest wait for one check: the clients of the stores retry for some minutes.
LIMIT_S = 120.0

Result = TypeVar("Result")


def examine(
    settings: Settings, era_ids: Sequence[str] = (), *, partial: bool = False, limit_s: float = LIMIT_S
) -> Iterator[Check]:
    """Make all checks, and yield each as soon as it and those before it are made.

    Args:
        era_ids, partial: as of the run that is to be made.
        limit_s: the longest wait for one check.

    Raises:
        ConfigError: there is no such era.
    """
    eras = settings.active(era_ids or None)
    places = {
        "destination": ("storage", dataset_location),
        "events": ("pas.backup_dir", events_location),
        "checkpoint": ("checkpoint.dir", checkpoint_location),
    }
    seen = _begin(partial_of(look_at_lake, settings, eras))
    # One after the other: one may be a directory of another one, and each removes the directories that it made.
    tried = _begin_in_order(
        partial_of(check_place, name, setting, find, settings) for name, (setting, find) in places.items()
    )
    catalog = _begin(partial_of(check_catalog, settings, eras))
    endpoint = _begin(partial_of(check_endpoint, settings))

    lake_check, view = _wait(seen, limit_s, (_late("lake", limit_s), None))
    yield lake_check
    stated, network = view.lake.passphrase if view else None, eras[0].network
    archives = [
        _begin(partial_of(check_archive, settings, url, stated, network)) for url in settings.authenticity.archives
    ]
    needed = [lake_check]
    for name, future in zip(places, tried, strict=True):
        check = _wait(future, limit_s, _late(name, limit_s))
        needed.append(check)
        yield check
    times = []
    for name, service in (("catalog", catalog), ("endpoint", endpoint)):
        done = _wait(service, limit_s, ServiceCheck(_late(name, limit_s)))
        times += [done.time] if done.time else []
        yield done.check
    yield from (_wait(future, limit_s, _late("archive", limit_s)) for future in archives)
    if not archives:
        yield Check(name="archive", verdict=Verdict.UNUSED, found="no authenticity.archives")
    yield check_trusted_files(settings, network, stated)
    yield from _planned(settings, era_ids, partial, view, needed, times)


def _planned(
    settings: Settings,
    era_ids: Sequence[str],
    partial: bool,
    view: LakeView | None,
    needed: Sequence[Check],
    times: Sequence[ServerTime],
) -> Iterator[Check]:
    """The checks that need a plan, and the clock, which is compared with what the lake and the plan say."""
    past = [("the close of the lake's newest ledger", float(view.closed_at))] if view else []
    broken = [check.name for check in needed if check.verdict in (Verdict.FAILS, Verdict.UNCHECKED)]
    if view is None or broken:
        remedy = f"mend {' and '.join(broken)} first"
        yield unchecked("plan", "what a run would do cannot be told", remedy)
        yield unchecked("space", "what a run needs cannot be told", remedy)
    else:
        try:
            prepared = prepare(settings, era_ids, partial=partial, writes=False)
        except FINDINGS as error:
            yield fails("plan", str(error), "`bronze-copier plan` says the same; docs/RUNBOOK.md has each symptom")
            yield unchecked("space", "what a run needs cannot be told", "mend the plan first")
        else:
            with prepared.connections:
                yield _check_plan(prepared, view)
                yield check_space(settings, prepared, view.expansion)
                past += _committed(prepared)
    yield check_clock(times, past)


def _check_plan(prepared: Prepared, view: LakeView) -> Check:
    plans, found = prepared.plans, prepared.existence
    partitions, ledgers = sum(len(plan.partitions) for plan in plans), sum(plan.ledger_count for plan in plans)
    what = f"{number_of(partitions, 'partition')}, {number_of(ledgers, 'ledger')} to copy"
    words = what if partitions else "nothing to do"
    problems = [f"{one}: {what}" for each in found for one, what in {**each.problems, **each.uncorrected}.items()]
    if problems:
        rest = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        return fails("plan", f"{problems[0]}{rest}", "`bronze-copier plan` lists them; docs/RUNBOOK.md says what to do")
    missing = sum(len(each.missing) + len(each.unfinished) for each in found)
    if missing:
        remedy = "`bronze-copier run` makes them again; `bronze-copier plan` lists them"
        lost = number_of(missing, "published partition")
        return warning("plan", f"{words}; not there as a whole: {lost}", remedy)
    beyond = [one for plan in plans for one in plan.partitions if one.end > view.newest]
    if beyond:
        lost = f"{number_of(len(beyond), 'partition')}, the first {beyond[0]}"
        said = f"{words}; the lake, whose newest ledger is {view.newest}, does not have all of {lost}"
        remedy = "a run fails with these: set ledger_end to what the lake has, or wait for it with `run --follow`"
        return warning("plan", said, remedy)
    return holds("plan", words)


def _committed(prepared: Prepared) -> list[tuple[str, float]]:
    """The checkpoint that was written last, and when."""
    found = []
    for era in prepared.job.eras:
        file = prepared.connections.checkpoint(era)
        checkpoint = file.load() if file else None
        if checkpoint:
            found.append((f"the checkpoint of {era.chain}", seconds_of(checkpoint.updated_at) or 0.0))
    return sorted(found, key=lambda one: one[1])[-1:]


def _begin(function: Callable[[], Result]) -> Future[Result]:
    """Call `function` in a thread that does not keep the program from ending."""
    return _begin_in_order([function])[0]


def _begin_in_order(functions: Iterable[Callable[[], Result]]) -> list[Future[Result]]:
    """Call `functions` one after the other, in one such thread."""
    calls = [(function, Future[Result]()) for function in functions]

    def run() -> None:
        for function, future in calls:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    threading.Thread(target=run, name="check", daemon=True).start()
    return [future for _, future in calls]


def _wait(future: Future[Result], limit_s: float, late: Result) -> Result:
    try:
        return future.result(limit_s)
    except FutureTimeoutError:
        if future.done():
            raise
        return late


def _late(name: str, limit_s: float) -> Check:
    remedy = "is the network slow, or the service stuck? A file system that hangs (NFS) does this too"
    return unchecked(name, f"no answer within {limit_s:.0f} s", remedy)
