"""``verify --scp``: exit statuses and output of the command, by URL and by configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bronze.archives.checkpoint_files import checkpoint_of
from pipeline.sample.config_file import validators_file
from tests.e2e.conftest import Copier, LakeFiles, call, copier, own_environment, sample, sample_lakes, small  # noqa: F401
from tests.support.scp_archive import entry, sample_validators, value_of, write_scp_file

# ruff: noqa: F811 - fixtures are imported by name

SAMPLE = {"first": 8, "ledgers": 24}
ENDS = (15, 23, 31)


class Sources:
    """A copied sample lake, an archive with the messages for its partitions' ends, and the file of its validators."""

    def __init__(self, root: Path, lake: LakeFiles, copy: Copier) -> None:
        options = small(**SAMPLE)
        self.copy = copy
        self.bronze = str(copy.root / "data" / "bronze")
        self.archive = root / "archive"
        self.url = f"file://{self.archive}"
        self.validators = str(root / "validators.cfg")
        Path(self.validators).write_text(validators_file(options.passphrase, options.validators))
        self.entries = {
            end: entry(options.passphrase, sample_validators(), end, value_of(lake.meta(end))) for end in ENDS
        }
        write_scp_file(self.archive, checkpoint_of(31), self.entries)


@pytest.fixture
def sources(tmp_path: Path, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Sources:
    lake = sample(**SAMPLE)
    copy = copier(lake.root, ledger_start=8, ledger_end=31, partition_size=8)
    assert copy.run().status == 0
    return Sources(tmp_path, lake, copy)


def test_url_archive_and_validators_are_enough(sources: Sources) -> None:
    words = ("verify", sources.bronze, "--scp", sources.url, "--validators", sources.validators)
    ran = call(*words)
    assert ran.status == 0, ran.out
    assert "checked the SCP messages of a quorum: they prove 3 of 3 partitions, through ledger 30\n" in ran.out
    found = json.loads(call(*words, "--subset", "1/3", "--json").out)["eras"][0]["scp"]
    assert found["checked"] == found["proven"] == 1


def test_configured_validators_are_taken(sources: Sources) -> None:
    sources.copy.settings["authenticity"] = {"validators": sources.validators}
    ran = sources.copy.run("verify", "--level", "manifests", "--scp", sources.url)
    assert ran.status == 0, ran.out
    assert "3 of 3 partitions, through ledger 30" in ran.out


def test_what_archives_lack_ends_with_three(sources: Sources) -> None:
    write_scp_file(sources.archive, checkpoint_of(31), {15: sources.entries[15]})
    ran = call("verify", sources.bronze, "--scp", sources.url, "--validators", sources.validators)
    assert ran.status == 3
    assert "COULD NOT BE CHECKED: 2 unchecked" in ran.out
    assert "they prove 1 of 3 partitions, through ledger 14" in ran.out


def test_another_history_ends_with_one(sources: Sources) -> None:
    options = small(**SAMPLE)
    other = value_of(next(one.xdr for one in small(**SAMPLE, seed=1).chain() if one.sequence == 23))
    sources.entries[23] = entry(options.passphrase, sample_validators(), 23, other)
    write_scp_file(sources.archive, checkpoint_of(31), sources.entries)
    ran = call("verify", sources.bronze, "--scp", sources.url, "--validators", sources.validators)
    assert ran.status == 1
    assert "DOES NOT HOLD: 1 wrong" in ran.out
    assert "a quorum took another" in ran.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scp", "ftp://host/x", "--validators", "{validators}"], "--scp must be the URL of a history archive"),
        (["--scp", "{url}"], "--scp needs --validators FILE, or authenticity.validators"),
        (["--scp", "{url}", "--validators", "/absent"], "--validators /absent cannot be read: No such file"),
        (["--validators", "{validators}"], "--validators says whose SCP messages count: it belongs to --scp"),
        (
            ["--scp", "{url}", "--validators", "{validators}", "--passphrase", "other"],
            "is of another network: its NETWORK_PASSPHRASE is 'Standalone Network",
        ),
    ],
)
def test_unusable_requests_end_with_two(sources: Sources, words: list[str], message: str) -> None:
    ran = call(
        "verify", sources.bronze, *(word.format(url=sources.url, validators=sources.validators) for word in words)
    )
    assert ran.status == 2
    assert message in ran.err
