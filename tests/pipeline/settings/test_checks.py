"""Checks of keys against each other."""

from __future__ import annotations

import pytest

from pipeline.settings.model import AuthenticitySettings
from tests.pipeline.settings.conftest import LOCAL, Errors


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"{LOCAL}era: {{ledger_start: 9, ledger_end: 8}}", "era.ledger_end (line 2): 8 is before ledger_start, 9"),
        (
            f"{LOCAL}era: {{protocol_min: 23, protocol_max: 22}}",
            "era.protocol_max (line 2): 22 is below protocol_min, 23",
        ),
        ("source: {mode: local}", "source.local_path: is missing: source.mode local needs it"),
        ("source: {mode: gcs, gcs_prefix: x}", "source.gcs_bucket: is missing: source.mode gcs needs it"),
        ("source: {mode: s3, s3_bucket: ''}", "source.s3_bucket (line 1): is missing: source.mode s3 needs it"),
        ("source: {mode: datastore, datastore_type: S3}", "source.datastore_path: is missing"),
        ("source: {mode: datastore, datastore_path: bucket/x}", "source.datastore_type: is missing"),
        (f"{LOCAL}storage: {{backend: gcs}}", "storage.gcs_bucket: is missing: storage.backend gcs needs it"),
        (f"{LOCAL}storage: {{backend: s3}}", "storage.s3_bucket: is missing: storage.backend s3 needs it"),
        (f"{LOCAL}eras: [{{era_id: a, ledger_end: 9}}, {{ledger_start: 10}}]", "eras[1].era_id: is missing"),
        (
            f"{LOCAL}eras: [{{era_id: a, ledger_end: 9}}, {{era_id: b, ledger_start: 9}}]",
            "eras (line 2): eras 'a' (1-9) and 'b' (9-) overlap",
        ),
        (
            f"{LOCAL}eras: [{{era_id: a}}, {{era_id: b, ledger_start: 9}}]",
            "era 'a' has no end (ledger_end 0) and comes before era 'b'",
        ),
        (
            f"{LOCAL}active_eras: [pre_p24]",
            "active_eras[0] (line 2): there is no era 'pre_p24': did you mean 'pre_p23'? configured are pre_p23",
        ),
        (
            f"{LOCAL}authenticity: {{attestation: require}}",
            "authenticity.validators: is missing: authenticity.attestation require needs it",
        ),
        (
            f"{LOCAL}authenticity: {{attestation: require, validators: v.cfg, signatures: off}}",
            "authenticity.attestation (line 2): 'require' needs signatures, which authenticity.signatures 'off' does",
        ),
        (
            "source: {mode: local, local_path: x, verify: header}\nauthenticity: {attestation: require, validators: v}",
            "authenticity.attestation (line 2): 'require' needs source.verify full",
        ),
        (
            f"{LOCAL}authenticity: {{attestation_lag: 0}}",
            "authenticity.attestation_lag (line 2): '0' must be a whole number from 1 to 100000 (ledgers)",
        ),
        (f"{LOCAL}authenticity: {{attestation: yes}}", "'yes' must be one of require, report, off"),
    ],
)
def test_contradicting_keys_are_an_error(errors: Errors, text: str, error: str) -> None:
    (found,) = errors(text)
    assert error in found


_AUTHENTICITY = [
    ("signatures: maybe", "'maybe' must be one of require, report, off"),
    ("events: 1", "'1' must be one of require, report, off"),
    ("genesis: perhaps", "'perhaps' must be true or false"),
    ("anchors: 5", "must be a list"),
    ("anchors: ['2:zz']", "'2:zz' must be a ledger and its hash in hex"),
    (f"anchors: ['4294967296:{'ab' * 32}']", "must be a ledger and its hash in hex"),
    ("anchors_file: [a]", "a section or list must be text"),
    ("validators: {a: b}", "a section or list must be text"),
    ("attestation: always", "'always' must be one of require, report, off"),
    ("attestation_lag: 100001", "must be a whole number from 1 to 100000 (ledgers)"),
    ("archives: https://h/a", "must be a list"),
    ("archives: ['ftp://h/a']", "must be the URL of a history archive"),
    ("archives_agree: -1", "must be a whole number from 0 to 32"),
    ("archives_strict: maybe", "'maybe' must be true or false"),
]


@pytest.mark.parametrize(("text", "error"), _AUTHENTICITY, ids=[text.partition(":")[0] for text, _ in _AUTHENTICITY])
def test_settings_of_authenticity_are_validated(errors: Errors, text: str, error: str) -> None:
    (found,) = errors(f"{LOCAL}authenticity: {{{text}}}")
    assert found.startswith(f"authenticity.{text.partition(':')[0]}")
    assert error in found


def test_every_setting_of_authenticity_is_validated() -> None:
    assert {text.partition(":")[0] for text, _ in _AUTHENTICITY} == set(AuthenticitySettings.model_fields)


@pytest.mark.parametrize(
    "text",
    [
        # what is missing depends on the mode
        "source: {mode: ftp}",
        # an invalid bucket is not a missing one
        "source: {mode: gcs, gcs_bucket: /}",
        # whether eras overlap depends on the end, which is not a number
        f"{LOCAL}eras: [{{era_id: a, ledger_end: x}}, {{era_id: b, ledger_start: 10}}]",
        # whether the active era exists depends on the id, which is not valid
        f"{LOCAL}era: {{era_id: ../x}}\nactive_eras: [x]",
    ],
)
def test_problems_depending_on_a_broken_key_are_dropped(errors: Errors, text: str) -> None:
    assert len(errors(text)) == 1
