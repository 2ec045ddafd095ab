"""What a partition's manifest says of signatures and contract events, and how far its rows are held against that."""

from __future__ import annotations

from bronze.authenticity.findings import PartitionAuthenticity
from bronze.authenticity.policy import AuthenticityPolicy, CheckMode
from bronze.dataset.manifest import Manifest
from bronze.ledger.close_meta import VerifyLevel
from bronze.verify.finding import FindingCollector

_UNSIGNED = "signatures: the manifests do not state that all of them hold"
_FAILED = "signatures: some do not hold, as the manifests say: these are not known to be the network's own ledgers"
_UNPROVEN_EVENTS = "contract events: the manifests do not state that all of them match"


def proof_policy(manifest: Manifest, passphrase: str | None, verify: VerifyLevel) -> AuthenticityPolicy | None:
    """How signatures and contract events are checked; None where nothing is known to compare with.

    Where the manifest says that some failed, or that none were checked, the ledgers of the partition are known not
    to be proven: only those are required that were proven when it was made.
    """
    stated = manifest.authenticity
    if passphrase is None or stated is None:
        return None
    full = verify is VerifyLevel.FULL
    return AuthenticityPolicy(
        network=manifest.network,
        passphrase=passphrase,
        signatures=CheckMode.REPORT if stated.failed_signatures or not stated.network_id else CheckMode.REQUIRE,
        events=CheckMode.REQUIRE if full and not stated.failed_events else CheckMode.OFF,
        sets_are_verified=full,
    )


def left_out_proofs(manifest: Manifest, policy: AuthenticityPolicy | None, verify: VerifyLevel) -> tuple[str, ...]:
    """What `policy` leaves out because of the manifest, a sentence each."""
    found = []
    if manifest.authenticity is not None and manifest.authenticity.failed_signatures:
        found.append(_FAILED)
    elif policy is None or policy.signatures is not CheckMode.REQUIRE:
        found.append(_UNSIGNED)
    if verify is VerifyLevel.FULL and (policy is None or policy.events is not CheckMode.REQUIRE):
        found.append(_UNPROVEN_EVENTS)
    return tuple(found)


def compare_signatures(
    manifest: Manifest, proven: PartitionAuthenticity, verify: VerifyLevel, findings: FindingCollector
) -> None:
    """Who is said to have signed decides how far a chain is attested, so it must be what the rows show."""
    stated = manifest.authenticity
    if stated is None or not stated.has_checked_signatures:
        return
    said, found = stated.signature_findings(), proven.signature_findings()
    # Sets that were not verified name no signers: then an audit in full finds more, not something else.
    if not stated.signers or verify is not VerifyLevel.FULL:
        said["signers"] = found["signers"] = {}
    differing = [name for name in said if said[name] != found[name]]
    if differing:
        claims, facts = ({name: of[name] for name in differing} for of in (said, found))
        findings.add(
            f"says of its signatures {claims}",
            partition=manifest.partition,
            expected=f"{facts}, as its rows show",
        )
