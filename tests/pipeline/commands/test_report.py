"""The command `report`: by URL or configuration, with the results of a verification; its exit statuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from pipeline.sample.config_file import validators_file
from tests.e2e.conftest import Copier, call, small, tree


def bronze(copy: Copier) -> str:
    return str(copy.root / "data" / "bronze")


def test_configured_report_shows_chain(copy: Copier, tmp_path: Path) -> None:
    copy.run()
    before = tree(copy.root)
    ran = copy.run("report", "--out", str(tmp_path / "report.html"))
    assert ran.status == 0, ran
    page = (tmp_path / "report.html").read_text()
    head = copy.events()[-1]["chain"]["event_hash"]
    for words in (
        head,
        f"the configuration {copy.config}",
        "3 events were checked",
        "exists: 3",
        "at the level <b>manifests</b>",
        "the checkpoint",
    ):
        assert words in page
    assert tree(copy.root) == before
    assert [path.name for path in tmp_path.glob("*report*")] == ["report.html"]


def test_report_tells_signed_from_attested(copy: Copier, tmp_path: Path) -> None:
    """Who attested follows from the validators that somebody names, and from nothing that is published."""
    options = small(first=8, ledgers=24)
    validators = tmp_path / "validators.cfg"
    validators.write_text(validators_file(options.passphrase, options.validators))
    assert copy.run().status == 0
    out = tmp_path / "report.html"
    assert copy.run("report", "--out", str(out)).status == 0
    assert "Signed is not attested. Whether enough validators stand behind these ledgers" in out.read_text()
    copy.settings["authenticity"] = {"validators": str(validators), "archives": ["http://127.0.0.1:9"]}
    before = tree(copy.root / "pas")
    assert copy.run("report", "--out", str(out)).status == 0
    page = out.read_text()
    assert re.search(r"validators of the configuration: attested through \d+ by \d of \d organizations?\.", page), page
    assert "History archives, as they answered when a run asked them: agree through no ledger yet" in page
    assert "Signed is not attested" not in page
    assert tree(copy.root / "pas") == before


def test_url_with_results_names_damage(copy: Copier, tmp_path: Path) -> None:
    copy.run()
    path = copy.parquet((16, 23))
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    verified = call("verify", bronze(copy), "--level", "rows", "--json")
    (tmp_path / "verify.json").write_text(verified.out)
    arguments = ("report", bronze(copy), "--out", str(tmp_path / "report.html"))
    assert call(*arguments).status == 0  # sizes hold, and nothing else was asked for
    assert "failed a check: 0" in (tmp_path / "report.html").read_text()
    ran = call(*arguments, "--verification", str(tmp_path / "verify.json"))
    assert ran.status == 1, ran
    page = (tmp_path / "report.html").read_text()
    assert "failed a check: 1" in page
    assert "verify.json, a file of" in page
    assert "bronze-copier run --partition 16-23 --again" in page


def test_missing_partition_exits_1(copy: Copier, tmp_path: Path) -> None:
    copy.run()
    shutil.rmtree(copy.parquet((16, 23)).parent)
    ran = call("report", bronze(copy), "--level", "files", "--out", str(tmp_path / "report.html"))
    assert ran.status == 1
    page = (tmp_path / "report.html").read_text()
    assert "missing: 1" in page
    assert "Ledgers that are missing: 16-23." in page


def test_results_of_elsewhere_are_not_mixed(copy: Copier, tmp_path: Path) -> None:
    copy.run()
    era = {"chain": "pubnet/e9/v1", "url": "s3://other", "level": "rows", "verdict": "DOES NOT HOLD"}
    document = {"schema": "bronze-copier/verify/1", "eras": [era]}
    (tmp_path / "verify.json").write_text(json.dumps(document))
    arguments = ("--out", str(tmp_path / "report.html"), "--verification", str(tmp_path / "verify.json"))
    assert call("report", bronze(copy), *arguments).status == 1
    assert "Results of chains that are not here" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("place", ["data/bronze/report.html", "data/bronze/standalone/report.html", "pas/report.html"])
def test_page_among_published_files_is_refused(copy: Copier, place: str) -> None:
    copy.run()
    before = tree(copy.root)
    ran = copy.run("report", "--out", str(copy.root / place))
    assert (ran.status, "where nothing but the copier writes" in ran.err) == (2, True), ran
    assert tree(copy.root) == before


@pytest.mark.parametrize("place", ["data/bronze/report.html", "nowhere/report.html", "data"])
def test_unusable_place_is_told_before_the_audit(copy: Copier, place: str) -> None:
    copy.run()
    ran = copy.run("report", "-v", "--level", "rows", "--out", str(copy.root / place))
    assert (ran.status, f"--out {copy.root / place}" in ran.err) == (2, True), ran
    assert "partitions checked" not in ran.log


def test_unusable_results_exit_2(copy: Copier, tmp_path: Path) -> None:
    copy.run()
    (tmp_path / "verify.json").write_text("{}")
    out = tmp_path / "report.html"
    ran = call("report", bronze(copy), "--out", str(out), "--verification", str(tmp_path / "verify.json"))
    assert (ran.status, out.exists()) == (2, False)
    assert "--verification" in ran.err


def test_empty_place_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert call("report", str(tmp_path / "empty"), "--out", str(tmp_path / "report.html")).status == 1
    assert "NOTHING TO VERIFY" in (tmp_path / "report.html").read_text()


def test_hostile_manifest_stays_text(copy: Copier, tmp_path: Path) -> None:
    copy.run()
    path = copy.parquet((16, 23)).with_name("_manifest.json")
    nasty = "</p><script>alert(1)</script>"
    document = json.loads(path.read_text())
    document["producer"]["version"] = nasty
    document["partition"]["network"] = nasty
    path.write_text(json.dumps(document))
    assert call("report", bronze(copy), "--out", str(tmp_path / "report.html")).status == 1
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
