"""How far a chain is attested: who signed its ledgers, gathered from its partitions in ledger order.

Each partition's manifest names its signers. What they say together is kept in a small file of its own, so that a commit
costs the same whatever the chain's length. The file is a cache: where it lags, is gone, damaged or of other validators,
the last manifests decide, as many as the quorum needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bronze.authenticity.findings import PartitionAuthenticity
from bronze.authenticity.policy import CheckMode
from bronze.authenticity.quorum import Attestation, AttestationPolicy, QuorumSet, attested_through
from bronze.dataset.manifest import Manifest
from bronze.errors import AuthenticityError, ObjectNotFoundError, StateError
from bronze.outcomes import PartitionSummary
from bronze.partitioning.era import Era
from bronze.stellar import checked_ledger
from bronze.storage.json_object import load_json_object, unusable_object_error
from bronze.storage.store import Store

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset

_MAX_BYTES = 1 << 20
#: Most manifests that are read to gather signers anew.
_MAX_MANIFESTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheredSigners:
    """What is known of a chain's signers: of each listed node the last ledger that it signed, where that counts still.

    The same partitions give the same value, whether they were added one by one or read again: what cannot change
    how far the chain is attested any more is left out.

    Attributes:
        through: the last attested ledger; None when none is.
        first: the ledgers whose signers were gathered, or whose attestation is open, begin here: behind `through`.
        last: they end here, inclusive; before `first` when there are none.
    """

    first: int
    last: int
    signers: Mapping[str, int] = field(default_factory=dict)
    through: int | None = None

    def followed_by(self, last: int, signers: Mapping[str, int], quorum: QuorumSet) -> GatheredSigners:
        """These signers with those of the ledgers that follow, up to `last`."""
        merged = {**self.signers}
        for node, ledger in signers.items():
            merged[node] = max(ledger, merged.get(node, 0))
        found = attested_through(quorum, merged)
        if found is None:
            return replace(self, last=last, signers=dict(sorted(merged.items())))
        kept = {node: ledger for node, ledger in sorted(merged.items()) if ledger > found}
        return GatheredSigners(first=found + 1, last=last, signers=kept, through=found)


class ChainAttestation:
    """The attestation of one era's chain. One object belongs to one thread.

    Args:
        store: where the file is kept, beside the chain heads or the checkpoint; None: nowhere, then the last manifests
            are read once by each object.
    """

    def __init__(self, policy: AttestationPolicy, era: Era, dataset: Dataset, store: Store | None) -> None:
        self._policy = policy
        self._era = era
        self._dataset = dataset
        self._store = store
        self._nodes = frozenset(policy.quorum.all_nodes())
        self._quorum = quorum_digest(policy.quorum)
        self._known: GatheredSigners | None = None

    @property
    def file_name(self) -> str:
        """The name of the file."""
        return f"attested_{self._era.file_prefix}.json"

    def through(self, last: int) -> Attestation:
        """How far the chain is attested when `last` is its last committed ledger.

        Raises:
            StateError: a manifest that has to be read is damaged.
        """
        found = self._gathered(last)
        organizations = list(self._policy.quorum.organizations())
        behind = sum(one.is_satisfied_by(found.signers) for one in organizations) if found.through is not None else 0
        return Attestation(through=found.through, organizations=behind, out_of=len(organizations))

    def check(self, summary: PartitionSummary) -> None:
        """Check that enough of the chain is attested to commit the partition that follows.

        Raises:
            AuthenticityError: more of its last ledgers than may lag behind are not attested, and that is required.
            StateError: a manifest that has to be read is damaged.
        """
        if self._policy.mode is not CheckMode.REQUIRE:
            return
        after = self._with(summary)
        # Nothing is known of ledgers from before the signers were gathered: they are no longer asked for.
        is_checked = self._counts(summary.authenticity)
        if is_checked and summary.last - (after.first - 1) <= self._policy.lag:
            return
        behind = "no ledger" if after.through is None else f"ledger {after.through} and those before it"
        reason = (
            f"the validators of {self._policy.validators} stand behind {behind}, expected ledger"
            f" {summary.last - self._policy.lag} or a later one (authenticity.attestation_lag is {self._policy.lag});"
            f" {len(_signers(summary.authenticity))} nodes signed ledgers of it, which is not the same"
            if is_checked
            else "the signatures of its ledgers were not checked under the passphrase of this network"
        )
        raise AuthenticityError(
            f"partition {summary.chain} {summary.partition} is not attested: {reason}. Name the validators of that"
            " time (authenticity.validators), or set authenticity.attestation to 'report'"
        )

    def add(self, summary: PartitionSummary) -> None:
        """The partition was committed last: keep its signers."""
        self._known = after = self._with(summary)
        if self._store is None:
            return
        document = self._document(after)

        def change(data: bytes | None) -> bytes | None:
            found = None if data is None else self._parse(data)
            is_further = found is not None and found.last > after.last
            return None if is_further or document == data else document

        self._store.update(self.file_name, change)

    def _with(self, summary: PartitionSummary) -> GatheredSigners:
        before = self._gathered(summary.first - 1)
        return self._followed(before, summary.last, summary.authenticity)

    def _followed(
        self, before: GatheredSigners, last: int, authenticity: PartitionAuthenticity | None
    ) -> GatheredSigners:
        """What is known after the partition that follows `before` and ends with the ledger `last`."""
        if not self._counts(authenticity):
            return GatheredSigners(first=last + 1, last=last)
        listed = {node: ledger for node, ledger in _signers(authenticity) if node in self._nodes}
        return before.followed_by(last, listed, self._policy.quorum)

    def _gathered(self, last: int) -> GatheredSigners:
        """The signers of the chain up to the ledger `last`."""
        if self._known is None or self._known.last != last:
            kept = self._load()
            self._known = kept if kept is not None and kept.last == last else self._from_manifests(last, kept)
        return self._known

    def _load(self) -> GatheredSigners | None:
        """What the file says; None without one that can be used: it is a cache."""
        if self._store is None:
            return None
        try:
            return self._parse(self._store.read(self.file_name, _MAX_BYTES))
        except ObjectNotFoundError:
            return None

    def _from_manifests(self, last: int, kept: GatheredSigners | None) -> GatheredSigners:
        """The signers up to the ledger `last`, by the manifests that are newer than `kept`, or by as many as needed."""
        newer: list[Manifest] = []
        first, seen = last + 1, set[str]()
        for manifest in self._backwards(last):
            newer.append(manifest)
            first = manifest.partition.first_ledger
            seen.update(node for node, _ in _signers(manifest.authenticity))
            if (kept is not None and kept.last == first - 1) or self._policy.quorum.is_satisfied_by(seen):
                break
        found = kept if kept is not None and kept.last == first - 1 else GatheredSigners(first=first, last=first - 1)
        for manifest in reversed(newer):
            found = self._followed(found, manifest.partition.end, manifest.authenticity)
        return found

    def _backwards(self, last: int) -> Iterator[Manifest]:
        """The manifests of the partitions up to the ledger `last`, from the last one on.

        It ends before a gap, and before a partition whose signatures were not checked under the network.
        """
        published = {one.end: one for one in self._dataset.list_partitions(self._era)}
        for _ in range(_MAX_MANIFESTS):
            partition = published.get(last)
            manifest = self._dataset.find_manifest(self._era, partition, check_file=False) if partition else None
            if manifest is None or not self._counts(manifest.authenticity):
                return
            yield manifest
            last = manifest.partition.first_ledger - 1

    def _counts(self, authenticity: PartitionAuthenticity | None) -> bool:
        if authenticity is None or not authenticity.has_checked_signatures:
            return False
        return not self._policy.network_id or authenticity.network_id == self._policy.network_id

    def _document(self, found: GatheredSigners) -> bytes:
        document = {
            "chain": self._era.chain,
            "first": found.first,
            "last": found.last,
            "quorum": self._quorum,
            "attested_through": found.through,
            "signers": dict(found.signers),
        }
        return json.dumps(document, indent=2, ensure_ascii=False).encode()

    def _parse(self, data: bytes) -> GatheredSigners | None:
        """What the bytes of the file say; None when they cannot be used, or are of other validators."""
        try:
            with unusable_object_error(self.file_name):
                document = load_json_object(data, _MAX_BYTES)
                if document["chain"] != self._era.chain or document["quorum"] != self._quorum:
                    return None
                signers = document["signers"]
                if not isinstance(signers, dict) or not signers.keys() <= self._nodes:
                    raise ValueError("signers are not validators and ledgers")
                first, last, through = (document[key] for key in ("first", "last", "attested_through"))
                for ledger in (first, last, *signers.values(), *([] if through is None else [through])):
                    checked_ledger(ledger)
                if last < first - 1 or any(not first <= ledger <= last for ledger in signers.values()):
                    raise ValueError("its ledgers contradict each other")
                if through is not None and (through != first - 1 or not self._policy.quorum.is_satisfied_by(signers)):
                    raise ValueError("its signers do not attest what it says")
        except StateError:
            return None
        return GatheredSigners(first=first, last=last, signers=signers, through=through)


def quorum_digest(quorum: QuorumSet) -> str:
    """SHA-256 of a quorum set in hex; the names of its organizations do not count."""
    return hashlib.sha256(json.dumps(_plain(quorum)).encode()).hexdigest()


def _plain(quorum: QuorumSet) -> list[Any]:
    return [quorum.threshold, list(quorum.nodes), [_plain(one) for one in quorum.inner]]


def _signers(authenticity: PartitionAuthenticity | None) -> tuple[tuple[str, int], ...]:
    return authenticity.signers if authenticity is not None else ()
