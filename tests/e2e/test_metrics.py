"""Metrics of a run, seen by a real Prometheus; dashboard and rules name what is exported, and can be evaluated."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import fn_runner

from bronze.metric_families import FAMILIES, Kind
from bronze.xdr import is_compiled
from pipeline.sample.chain import STANDALONE_PASSPHRASE
from pipeline.sample.config_file import validators_file
from tests.e2e.conftest import Copier, LakeFiles, finish, small, wait_until
from tests.support.http_endpoint import EventEndpoint
from tests.support.made_archive import header_of, make_archive
from tests.support.prometheus_server import free_port, get, need, prometheus
from tests.support.scripted_server import Answer, running_server
from transforms.beam_metrics import NAMESPACE

TEMPLATES = Path(__file__).parents[2] / "templates"
RULES = TEMPLATES / "prometheus" / "bronze-copier.rules.yml"
CHAIN = '{network="standalone",era_id="e1",version="v1"}'
compiled = pytest.param(
    "compiled", marks=pytest.mark.skipif(not is_compiled(), reason="the reader is not compiled"), id="threads"
)


@pytest.fixture
def endpoint() -> Iterator[EventEndpoint]:
    with EventEndpoint() as made:
        yield made


def expressions() -> list[str]:
    """Every expression of the dashboard and of the alert rules, with variables filled in."""
    dashboard = json.loads((TEMPLATES / "grafana" / "bronze-copier.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = yaml.safe_load(RULES.read_text())
    found += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    return [expression.replace("$network", ".*").replace("$era_id", ".*") for expression in found]


def exported_names() -> set[str]:
    """Every name of a sample that the program can export."""
    endings = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
    return {family.full_name + end for family in FAMILIES.values() for end in endings.get(family.kind, ("",))}


def test_expressions_name_exported_metrics_only() -> None:
    named = {name for expression in expressions() for name in re.findall(r"bronze_copier_\w+", expression)}
    assert named - exported_names() == set()
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    assert {family.full_name for family in FAMILIES.values()} - families == set()


def test_alert_rules_pass_their_unit_tests() -> None:
    done = subprocess.run(
        [need("promtool"), "test", "rules", "bronze-copier.rules.test.yml"],
        cwd=RULES.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r"alertname: (\w+)", (RULES.parent / "bronze-copier.rules.test.yml").read_text()))
    assert tested == set(re.findall(r"alert: (\w+)", RULES.read_text()))


def test_scrape_configuration_is_valid() -> None:
    done = subprocess.run(
        [need("promtool"), "check", "config", "prometheus.yml"],
        cwd=RULES.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("reader", [compiled, pytest.param("interpreted", id="processes")])
def test_prometheus_sees_what_summary_says(
    reader: str,
    sample: Callable[..., LakeFiles],
    copier: Callable[..., Copier],
    endpoint: EventEndpoint,
    tmp_path: Path,
) -> None:
    """Two workers; partitions that exist, are written, fail and wait; retries; validators, an archive, no catalog."""
    lake = sample(first=64, ledgers=64)
    headers = {ledger: header_of(lake.meta(ledger)) for ledger in range(64, 128)}
    archive = make_archive(tmp_path / "archive", headers, STANDALONE_PASSPHRASE)
    copy = copier(lake.root, ledger_start=64, ledger_end=71, partition_size=4)
    assert copy.run().status == 0
    for kept in ("pas", "state"):
        shutil.rmtree(copy.root / kept)
    lake.remove(89)
    port, textfile, scraped = free_port(), tmp_path / "copier.prom", threading.Event()
    copy.settings["era"]["ledger_end"] = 95
    copy.settings["perf"] |= {"workers": 2, "wave_partitions": 8}
    copy.settings["authenticity"] = {"validators": str(tmp_path / "validators.cfg"), "archives": [f"file://{archive}"]}
    sample_options = small()
    validators = validators_file(sample_options.passphrase, sample_options.validators)
    (tmp_path / "validators.cfg").write_text(validators)
    copy.settings["pas"]["endpoint"] = endpoint.url
    copy.settings["catalog"] = {"postgres_dsn": "postgresql://u:p@127.0.0.1:1/nothing"}
    copy.settings["metrics"] = {"enabled": "true", "address": f"127.0.0.1:{port}", "textfile": str(textfile)}

    def behaviour(number: int) -> str | int:
        if number >= 3:
            scraped.wait(15)  # the run delivers again when it ends: by then everything is counted
        return 500 if number < 3 else "ok"

    endpoint.behaviour = behaviour
    with prometheus(tmp_path / "prometheus", f"127.0.0.1:{port}", RULES) as server:
        program = copy.start(BRONZE_READER=reader)
        wait_until(
            lambda: len(endpoint.requests) > 3 and server.value(f"bronze_copier_pas_errors_total{CHAIN}") == 1,
            "a scrape of the whole run",
        )
        wait_until(lambda: server.value(f"bronze_copier_last_committed_ledger{CHAIN}") == 87, "a scrape of all commits")
        found = {
            name: server.value(f"{name}{CHAIN}" if not FAMILIES[key].of_process else name)
            for key, name in ((key, family.full_name) for key, family in FAMILIES.items())
            if FAMILIES[key].kind is not Kind.HISTOGRAM
        }
        counts = {
            name: server.value(f"{family.full_name}_count{CHAIN}")
            for name, family in FAMILIES.items()
            if family.kind is Kind.HISTOGRAM
        }
        read = server.value(f"bronze_copier_partition_rows_sum{CHAIN}")
        results = [server.query(expression) for expression in expressions()]
        status, health = get(f"http://127.0.0.1:{port}/health")
        ready = get(f"http://127.0.0.1:{port}/ready")[0]
        scraped.set()
        ran = finish(program)

    value = {name.removeprefix("bronze_copier_"): value for name, value in found.items()}
    assert ran.status == 1, ran
    assert ran.lines("partitions") == ["5 written, 2 skipped, 1 failed"]
    assert ran.lines("ledgers")[0].startswith("20 from ")
    assert (value["partitions_published_total"], value["partitions_skipped_total"]) == (5, 2)
    assert value["ledgers_processed_total"] == read == len(copy.ledgers()) - 8 == 20
    assert value["raw_bytes_processed_total"] == sum(
        row["xdr_byte_length"] for row in copy.rows() if row["ledger_sequence"] > 71
    )
    assert (value["partition_errors_total"], value["pas_events_emitted_total"]) == (1, len(copy.events()))
    assert (value["retry_attempts_total"], value["source_errors_total"], value["storage_errors_total"]) == (2, 1, 0)
    assert (value["lake_latest_ledger"], value["last_committed_ledger"]) == (127, copy.checkpoint())
    assert (value["attested_ledger"], value["anchored_ledger"]) == (copy.checkpoint() - 2, copy.checkpoint())
    assert (value["worker_queue_depth"], value["active_workers"], value["sequencer_pending"]) == (0, 0, 1)
    assert (value["metadata_errors_total"] or 0) > 0
    assert [name for name, found in value.items() if found is None] == []
    assert counts == {
        "partition_duration_seconds": 5,
        "partition_upload_duration_seconds": 5,
        "partition_commit_duration_seconds": 6,
        "partition_rows": 5,
        "parquet_bytes": 5,
        "source_read_seconds": counts["source_read_seconds"],
    }
    assert (counts["source_read_seconds"] or 0) >= 20
    assert len(results) == len(expressions())
    document = json.loads(health)
    assert (status, ready, document["status"]) == (503, 200, "failing")
    assert document["behind_since"].keys() == {"catalog", "endpoint"}
    assert document["chains"]["standalone/e1/v1"]["last_committed_ledger"] == 87
    assert document["last_error"].startswith(("DeliveryError: ", "CatalogUnavailableError: "))
    # The file holds the figures at the very end.
    assert 'bronze_copier_ledgers_processed_total{era_id="e1",network="standalone",version="v1"} 20.0' in (
        textfile.read_text()
    )


def test_beam_metrics_agree_with_summary(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], endpoint: EventEndpoint, monkeypatch: Any
) -> None:
    """Of a run with partitions that exist, are written and fail, and with deliveries that are tried again."""
    lake = sample(first=8, ledgers=32)
    copy = copier(lake.root, ledger_start=8, ledger_end=15, partition_size=4)
    assert copy.run().status == 0
    for kept in ("pas", "state"):
        shutil.rmtree(copy.root / kept)
    lake.remove(33)
    copy.settings["era"]["ledger_end"] = 39
    copy.settings["pas"]["endpoint"] = endpoint.url
    copy.settings["metrics"] = {"textfile": str(copy.root / "copier.prom")}
    endpoint.behaviour = lambda number: 500 if number < 2 else "ok"
    run_pipeline, results = fn_runner.FnApiRunner.run_pipeline, []

    def recorded(runner: Any, *arguments: Any) -> Any:
        results.append(run_pipeline(runner, *arguments))
        return results[-1]

    monkeypatch.setattr(fn_runner.FnApiRunner, "run_pipeline", recorded)
    document = json.loads(copy.run("run", "--json").out)

    counted: Counter[str] = Counter()
    for result in results:
        found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
        counted.update({one.key.metric.name: one.committed for one in found["counters"]})
        counted.update({one.key.metric.name: one.committed.count for one in found["distributions"]})
    assert document["partitions"]["written"] == counted["partitions_published"] == counted["partition_duration_ms"] == 5
    assert document["partitions"]["skipped"] == counted["partitions_skipped"] == 2
    assert document["ledgers"] == counted["ledgers_processed"] == 20
    assert document["raw_bytes"] == counted["raw_bytes_processed"]
    assert len(document["failures"]) == counted["partition_errors.LakeError"] == 1
    assert counted["retry_attempts.delivery"] == 2
    assert counted["pas_events_emitted"] == len(copy.events()) == 6
    assert counted["source_read_ms"] >= 20
    # Prometheus has the same: each counter and histogram that Beam has.
    text = (copy.root / "copier.prom").read_text()
    for name, value in counted.items():
        family, _, label = name.replace("_ms", "_seconds").partition(".")
        kind = "_total" if FAMILIES[family].kind is Kind.COUNTER else "_count"
        (line,) = [
            line for line in text.splitlines()
            if line.startswith(f"bronze_copier_{family}{kind}{{") and 'era_id="e1"' in line and label in line
        ]  # fmt: skip
        assert float(line.rpartition(" ")[2]) == value, line


def test_address_in_use_ends_the_start(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    with EventEndpoint() as other:
        copy = copier(sample(first=8, ledgers=8).root, ledger_start=8, ledger_end=15, partition_size=4)
        address = other.url.removeprefix("http://").partition("/")[0]
        copy.settings["metrics"] = {"enabled": "true", "address": address}
        ran = copy.process()
    assert (ran.status, copy.partitions()) == (2, [])
    assert f"metrics.address: {address} cannot be listened on: Address already in use" in ran.err


def test_pushgateway_gets_figures_of_the_end(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    copy = copier(sample(first=8, ledgers=8).root, ledger_start=8, ledger_end=15, partition_size=4)
    with running_server(lambda _: Answer()) as gateway:
        copy.settings |= {"copier_id": "copier-7", "metrics": {"pushgateway": gateway.url}}
        ran = copy.run()
    assert (ran.status, ran.err) == (0, "")
    last = gateway.requests[-1]
    assert (last.method, last.path) == ("POST", "/metrics/job/bronze_copier/instance/copier-7")
    assert f"bronze_copier_partitions_published_total{_sorted(CHAIN)} 2.0" in last.body.decode()


def _sorted(labels: str) -> str:
    return "{" + ",".join(sorted(labels.strip("{}").split(","))) + "}"


def test_pushgateway_failure_costs_warning(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    copy = copier(sample(first=8, ledgers=8).root, ledger_start=8, ledger_end=15, partition_size=4)
    copy.settings["metrics"] = {"pushgateway": f"http://127.0.0.1:{free_port()}"}
    ran = copy.process()
    assert (ran.status, len(copy.partitions())) == (0, 2)
    assert "metrics.pushgateway cannot be reached" in ran.err
