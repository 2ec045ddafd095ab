"""Check the ledgers of one partition against a policy, and gather what was proven."""

from __future__ import annotations

from collections.abc import Callable

from bronze.authenticity.contract_events import check_events
from bronze.authenticity.findings import MAX_SIGNERS, PartitionAuthenticity, node_name
from bronze.authenticity.policy import AuthenticityPolicy, CheckMode
from bronze.authenticity.transaction_proof import has_transaction, transaction_is_of
from bronze.authenticity.value_signature import may_be_unsigned, network_id, read_value_signature
from bronze.errors import AuthenticityError
from bronze.ledger.close_meta import Buffer, CloseMeta
from bronze.stellar import PASSPHRASES


class Authenticator:
    """Checks the ledgers of one partition, each after its hashes and its link to the one before were found to hold."""

    def __init__(self, policy: AuthenticityPolicy) -> None:
        self._policy = policy
        self._network_id = network_id(policy.passphrase) if policy.passphrase is not None else None
        self._anchors = dict(policy.anchors)
        self._signers: dict[bytes, int] = {}
        self._checked_foreign = False
        self._signatures = self._failed_signatures = self._transaction_proofs = self._unproven = 0
        self._events = self._rewritten_events = self._failed_events = 0

    def check(self, meta: CloseMeta, data: Buffer) -> None:
        """Check the next ledger.

        Args:
            data: the buffer that `meta` was read from.

        Raises:
            AuthenticityError: a required proof does not hold.
        """
        if self._anchors:
            self._check_anchors(meta)
        if self._policy.signatures is not CheckMode.OFF:
            self._check_signature(meta, data)
        if self._policy.events is not CheckMode.OFF and meta.invocations:
            self._check_events(meta, data)

    def findings(self) -> PartitionAuthenticity:
        """What was proven of the ledgers so far."""
        return PartitionAuthenticity(
            network_id=self._network_id.hex() if self._network_id is not None else "",
            signatures=self._signatures,
            failed_signatures=self._failed_signatures,
            transaction_proofs=self._transaction_proofs,
            unproven=self._unproven,
            signers=self._last_signers(),
            events=self._events,
            rewritten_events=self._rewritten_events,
            failed_events=self._failed_events,
        )

    def _last_signers(self) -> tuple[tuple[str, int], ...]:
        """The nodes that signed last, as many as a manifest may have; a network has some hundred in all."""
        named = [(node_name(node), ledger) for node, ledger in self._signers.items()]
        last = sorted(named, key=lambda one: (-one[1], one[0]))[:MAX_SIGNERS]
        return tuple(sorted(last))

    def _check_anchors(self, meta: CloseMeta) -> None:
        for ledger, found in ((meta.sequence - 1, meta.previous_ledger_hash), (meta.sequence, meta.ledger_hash)):
            expected = self._anchors.get(ledger)
            if expected is not None and expected != found.hex():
                what = "genesis, which follows from the passphrase," if ledger == 1 else "a trusted anchor"
                raise AuthenticityError(
                    f"ledger {meta.sequence}: the hash of ledger {ledger} is {found.hex()} in this lake, but {what}"
                    f" says {expected}: this is not the history of {self._policy.network!r} that the settings trust"
                )

    def _check_signature(self, meta: CloseMeta, data: Buffer) -> None:
        signature = read_value_signature(meta, data)
        if self._network_id is None:
            self._check_not_public(meta, data)
            self._unproven += 1
        elif signature is not None:
            holds = signature.holds(self._network_id)
            if self._policy.sets_are_verified and meta.tx_set_previous_hash != meta.previous_ledger_hash:
                self._fail_signature(
                    meta,
                    data,
                    lambda: (
                        f"its transaction set, which the signature covers, follows the ledger"
                        f" {meta.tx_set_previous_hash.hex()}, its header {meta.previous_ledger_hash.hex()}"
                    ),
                )
            elif holds:
                self._signatures += 1
                if signature.attests_previous and self._policy.sets_are_verified:
                    self._signers[signature.node] = meta.sequence
            else:
                self._fail_signature(
                    meta,
                    data,
                    lambda: (
                        f"the signature of node {node_name(signature.node)} does not hold for the network"
                        f" {self._network()}"
                    ),
                )
        elif not may_be_unsigned(meta, data):
            self._fail_signature(
                meta,
                data,
                lambda: f"it has no signature, which every ledger of protocol {meta.protocol_version} must have",
            )
        elif not has_transaction(meta):
            self._unproven += 1
        elif transaction_is_of(meta, data, self._network_id):
            self._transaction_proofs += 1
        elif meta.unsigned_results:
            self._fail_signature(
                meta,
                data,
                lambda: f"the hash of its last transaction under the network {self._network()} has no result",
            )
        else:
            self._unproven += 1

    def _check_not_public(self, meta: CloseMeta, data: Buffer) -> None:
        """Refuse a public network's ledgers under an unknown name; one ledger that has a proof tells."""
        if self._checked_foreign or self._policy.signatures is not CheckMode.REQUIRE:
            return
        found = _public_network_of(meta, data)
        self._checked_foreign = found is not None or read_value_signature(meta, data) is not None
        if found is not None:
            raise AuthenticityError(
                f"ledger {meta.sequence} is a ledger of {found}, but era.network is {self._policy.network!r}:"
                f" set era.network to {found!r}, or read another lake"
            )

    def _fail_signature(self, meta: CloseMeta, data: Buffer, reason: Callable[[], str]) -> None:
        """Count or refuse the ledger; a reason takes half as long as a signature to put into words."""
        if self._policy.signatures is CheckMode.REPORT:
            self._failed_signatures += 1
            return
        found = _public_network_of(meta, data)
        if found is not None and PASSPHRASES[found] != self._policy.passphrase:
            hint = f"it is a ledger of {found}: set era.network to {found!r}, or read another lake"
        else:
            hint = (
                "it was not made by this network (an invented or a test lake?); to publish it all the same, set"
                " authenticity.signatures to 'report'"
            )
        raise AuthenticityError(f"ledger {meta.sequence} is not authentic: {reason()}; {hint}")

    def _check_events(self, meta: CloseMeta, data: Buffer) -> None:
        found = check_events(meta, data)
        self._events += found.held
        self._rewritten_events += found.rewritten
        self._failed_events += found.wrong_count
        if found.wrong is not None and self._policy.events is CheckMode.REQUIRE:
            stored, computed = found.wrong
            raise AuthenticityError(
                f"ledger {meta.sequence}: the events and the return value of a contract invocation do not match its"
                f" result: the result states {stored.hex()}, they give {computed.hex()}: the events in this lake are"
                " not those that the network committed to; to publish them all the same, set authenticity.events to"
                " 'report'"
            )

    def _network(self) -> str:
        return f"{self._policy.network!r} ({self._policy.passphrase})"


def _public_network_of(meta: CloseMeta, data: Buffer) -> str | None:
    """The public network that a ledger's signature or transaction proves; None when it proves none of them."""
    signature = read_value_signature(meta, data)
    for name, passphrase in PASSPHRASES.items():
        if signature is not None:
            if signature.holds(network_id(passphrase)):
                return name
        elif meta.unsigned_results and has_transaction(meta) and transaction_is_of(meta, data, network_id(passphrase)):
            return name
    return None
