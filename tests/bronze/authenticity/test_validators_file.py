"""Configurations of stellar-core and captive core, read as core reads them."""

from __future__ import annotations

import pytest
from stellar_sdk import Keypair

from bronze.authenticity.quorum import QuorumSet
from bronze.authenticity.validators_file import MAX_FILE_BYTES, parse_validators_file
from bronze.errors import ConfigError
from tests.support.real_validators import PASSPHRASES, PUBNET, TESTNET, configuration

KEYS = sorted(Keypair.from_raw_ed25519_seed(bytes([n]) * 32).public_key for n in range(12))
SELF = Keypair.from_raw_ed25519_seed(b"s" * 32)


def quorum(text: str) -> QuorumSet:
    return parse_validators_file(text.encode(), "core.cfg").quorum


def domain(name: str, quality: str, *keys: str) -> str:
    nodes = "".join(
        f'[[VALIDATORS]]\nNAME="{name} {n}"\nHOME_DOMAIN="{name}"\nPUBLIC_KEY="{key}"\n' for n, key in enumerate(keys)
    )
    return f'[[HOME_DOMAINS]]\nHOME_DOMAIN="{name}"\nQUALITY="{quality}"\n{nodes}'


def test_real_configurations_give_core_thresholds() -> None:
    pubnet = parse_validators_file(configuration(PUBNET, PASSPHRASES["pubnet"]).encode(), "pubnet.cfg")
    assert pubnet.passphrase == PASSPHRASES["pubnet"]
    assert pubnet.quorum.threshold == 5
    assert [(one.name, one.threshold, len(one.nodes)) for one in pubnet.quorum.inner] == [
        (name, 2, 3) for name in sorted(PUBNET)
    ]
    testnet = quorum(configuration(TESTNET))
    assert (testnet.threshold, testnet.inner[0].threshold) == (1, 2)
    assert set(testnet.inner[0].nodes) == set(TESTNET["testnet.stellar.org"])


def test_lower_qualities_nest_as_one_organization() -> None:
    text = (
        domain("crit", "CRITICAL", *KEYS[:3])
        + domain("high", "HIGH", *KEYS[3:6])
        + domain("other", "HIGH", *KEYS[6:9])
        + domain("low", "LOW", KEYS[9])
    )
    found = quorum(text)
    assert found.threshold == 2  # all of: crit, the rest
    crit, rest = found.inner
    assert (crit.name, crit.threshold) == ("crit", 2)
    assert (rest.threshold, [one.name for one in rest.inner]) == (3, ["high", "other", ""])
    assert rest.inner[2] == QuorumSet(threshold=1, inner=(QuorumSet(threshold=1, nodes=(KEYS[9],), name="low"),))


def test_critical_organizations_are_all_needed() -> None:
    keys = [Keypair.from_raw_ed25519_seed(bytes([n]) * 32).public_key for n in range(12)]
    groups = {f"org{n}": keys[3 * n : 3 * n + 3] for n in range(4)}
    assert quorum(configuration(groups, quality="CRITICAL")).threshold == 4
    assert quorum(configuration(groups, quality="HIGH")).threshold == 3


def test_quality_may_stand_with_the_validator() -> None:
    text = f'[[VALIDATORS]]\nNAME="a"\nHOME_DOMAIN="d"\nQUALITY="MEDIUM"\nPUBLIC_KEY="{KEYS[0]}"\n'
    assert list(quorum(text).all_nodes()) == [KEYS[0]]


EXPLICIT = f"""
NODE_NAMES=["{KEYS[2]} carol"]
[QUORUM_SET]
THRESHOLD_PERCENT=66
VALIDATORS=["{KEYS[0]} alice", "{KEYS[1]}"]
[QUORUM_SET.org]
THRESHOLD_PERCENT=51
VALIDATORS=["$carol", "{KEYS[3]}", "{KEYS[4]} dave"]
"""


def test_explicit_quorum_set_is_taken_as_written() -> None:
    org = QuorumSet(threshold=2, nodes=(KEYS[2], KEYS[3], KEYS[4]), name="QUORUM_SET.org")
    assert quorum(EXPLICIT) == QuorumSet(threshold=2, nodes=(KEYS[0], KEYS[1]), inner=(org,))
    assert quorum(f'[QUORUM_SET]\nVALIDATORS=["{KEYS[0]}", "{KEYS[1]}", "{KEYS[2]}"]').threshold == 3  # 67 % of 3


def test_both_kinds_must_agree_unless_unsafe() -> None:
    automatic = domain("org", "HIGH", *KEYS[:3])
    same = f'[QUORUM_SET.any]\nTHRESHOLD_PERCENT=51\nVALIDATORS=["$org 0", "$org 1", "{KEYS[2]}"]\n'
    assert set(quorum(automatic + same).all_nodes()) == set(KEYS[:3])
    other = same.replace("51", "100")
    with pytest.raises(ConfigError, match="say different things: remove one of them"):
        quorum(automatic + other)
    assert quorum("UNSAFE_QUORUM=true\n" + automatic + other).inner[0].threshold == 3


def test_validator_counts_itself_without_its_seed() -> None:
    text = f'NODE_SEED="{SELF.secret} self"\nNODE_IS_VALIDATOR=true\nNODE_HOME_DOMAIN="org"\n'
    found = quorum(text + domain("org", "HIGH", *KEYS[:2]))
    assert set(found.all_nodes()) == {*KEYS[:2], SELF.public_key}
    assert SELF.secret not in repr(found)
    with pytest.raises(ConfigError) as caught:
        quorum(text.replace(SELF.secret[-3:], "AAA") + domain("org", "HIGH", *KEYS[:2]))
    assert "NODE_SEED is needed" in str(caught.value)
    assert SELF.secret[:20] not in str(caught.value)


def test_own_node_may_be_named_self() -> None:
    found = quorum(f'NODE_SEED="{SELF.secret}"\n[QUORUM_SET]\nVALIDATORS=["$self", "{KEYS[0]}"]')
    assert found.nodes == (SELF.public_key, KEYS[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[VALIDATORS", "core.cfg is not valid TOML: Expected"),
        ("HTTP_PORT=11626", r"it names no validators: it needs \[\[VALIDATORS\]\]"),
        ("VALIDATORS=3", r"VALIDATORS is not written as \[\[VALIDATORS\]\]"),
        (domain("d", "GREAT", *KEYS[:3]), "'d' has the QUALITY 'GREAT', expected one of LOW, MEDIUM, HIGH, CRITICAL"),
        (domain("d", "HIGH", *KEYS[:2]), "'d' of quality HIGH has 2 validators, expected at least 3"),
        (domain("d", "LOW", "GABC"), "'d 0': 'GABC' is not the public key of a node"),
        (domain("d", "LOW", KEYS[0][:-1] + "A"), "is not the public key of a node"),
        (domain("d", "LOW", SELF.secret), "is not the public key of a node"),
        (domain("d", "LOW", KEYS[0], KEYS[0]), f"{KEYS[0]} occurs twice"),
        (domain("d", "LOW", KEYS[0]) * 2, "HOME_DOMAINS has 'd' twice"),
        ('[[VALIDATORS]]\nNAME="a"\nHOME_DOMAIN="d"\n', "'a' has the QUALITY None"),
        ('[[VALIDATORS]]\nNAME="a"\n', "HOME_DOMAIN is missing, or no text, in the entry 'a'"),
        (domain("d", "LOW", KEYS[0]).replace("PUBLIC", 'QUALITY="LOW"\nPUBLIC'), "its home domain 'd' has one too"),
        ("[QUORUM_SET]\nTHRESHOLD_PERCENT=50", "QUORUM_SET names no validators"),
        (f'[QUORUM_SET]\nTHRESHOLD_PERCENT=0\nVALIDATORS=["{KEYS[0]}"]', "THRESHOLD_PERCENT is 0, expected 1 to 100"),
        ('[QUORUM_SET]\nVALIDATORS=["$bob"]', r"\$bob is not the name of a validator of this file"),
        ("[QUORUM_SET]\na=1", "QUORUM_SET.a is not a table"),
        ("[QUORUM_SET.1.2.3.4.5]\nVALIDATORS=[]", "nested too deeply"),
        ("x=" + "[" * 5000, "is not valid TOML"),
        ("#" * (MAX_FILE_BYTES + 1), "has more than 1 MiB"),
        ("[QUORUM_SET]\nVALIDATORS=[" + ",".join(f'"{key}"' for key in KEYS * 90) + "]", "more than 1000 validators"),
    ],
)
def test_faulty_configurations_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quorum(text)


def test_messages_show_no_seed() -> None:
    with pytest.raises(ConfigError) as caught:
        quorum(f"NODE_SEED={SELF.secret}")
    assert SELF.secret not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(ConfigError) as caught:
        quorum(f'[QUORUM_SET]\nVALIDATORS=["{SELF.secret}"]')
    assert SELF.secret not in str(caught.value)
