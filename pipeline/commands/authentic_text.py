"""What the summary of a run says of the authenticity of what it copied."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bronze.commit.anchoring import Anchoring, Standing
from pipeline.sizes import number_of

if TYPE_CHECKING:
    from bronze.authenticity.quorum import Attestation
    from pipeline.launch.prepare import Prepared
    from pipeline.launch.status import EraStatus
    from pipeline.telemetry.totals import Totals


#: What an archive that does not confirm everything does: one, several.
_VERBS = {
    Standing.LAGS: ("lags behind", "lag behind"),
    Standing.CONTRADICTS: ("contradicts", "contradict"),
    Standing.FAILS: ("failed", "failed"),
    Standing.UNASKED: ("was not asked", "were not asked"),
}


def authentic_lines(
    prepared: Prepared, totals: Totals, attested: Mapping[str, Attestation], anchored: Mapping[str, Anchoring]
) -> Iterator[str]:
    """One line for each chain of which something is known, and one for each archive that does not agree.

    Args:
        attested: by chain, how far it is attested; chains whose attestation was not asked for are left out.
        anchored: by chain, how far history archives confirm it; without any, chains are left out.
    """
    networks = [plan.era.network for plan in prepared.plans]
    for plan in prepared.plans:
        chain = plan.era.chain
        parts = [*_signature_parts(totals, chain)]
        if chain in attested:
            parts.append(attestation_words(attested[chain]))
        if chain in anchored:
            parts.append(f"archives {anchoring_words(anchored[chain])}")
        if parts:
            name = plan.era.network if networks.count(plan.era.network) == 1 else chain
            yield f"authentic    {name}: {', '.join(parts)}"
    for chain, found in anchored.items():
        yield from (f"contradicted {chain}: {one.error}" for one in found.of(Standing.CONTRADICTS))
        yield from (f"unconfirmed  {chain}: {one.error}" for one in found.of(Standing.FAILS))


def attestation_words(found: Attestation) -> str:
    """How far a chain is attested, in words.

    >>> from bronze.authenticity.quorum import Attestation
    >>> attestation_words(Attestation(through=63092940, organizations=7, out_of=7))
    'attested through 63,092,940 by 7 of 7 organizations'
    """
    if found.through is None:
        return f"no ledger attested by a quorum of the {number_of(found.out_of, 'organization')}"
    return f"attested through {found.through:,} by {found.organizations} of {number_of(found.out_of, 'organization')}"


def anchoring_words(found: Anchoring) -> str:
    """How far history archives confirm a chain, in words.

    >>> from bronze.commit.anchoring import Witnessed
    >>> one = Witnessed(url="https://a", standing=Standing.CONFIRMS, through=63092991)
    >>> other = Witnessed(url="https://b", standing=Standing.LAGS)
    >>> anchoring_words(Anchoring(archives=(one, one), needed=2))
    '2 of 2 through 63,092,991'
    >>> anchoring_words(Anchoring(archives=(one, other), needed=1))
    '1 of 2 through 63,092,991, 1 lags behind'
    >>> anchoring_words(Anchoring(archives=(one, other), needed=2))
    'agree through no ledger yet (1 of 2, 2 are needed), 1 lags behind'
    """
    count = len(found.archives)
    if found.through is None:
        some = sum(one.through is not None for one in found.archives)
        words = f"agree through no ledger yet ({some} of {count}, {found.needed} are needed)"
    else:
        words = f"{found.agreeing} of {count} through {found.through:,}"
    for standing, verb in _VERBS.items():
        if number := len(found.of(standing)):
            words += f", {number} {verb[number != 1]}"
    return words


def standing_sentences(status: EraStatus) -> list[str]:
    """Who stands behind a chain besides the nodes that signed, a sentence each; none where nobody is asked for."""
    found = [one for one in status.failures if one.startswith("how far the chain is attested")]
    if status.attestation is not None:
        words = attestation_words(status.attestation)
        found.append(f"By the signers that the manifests state and the validators of the configuration: {words}.")
    if status.anchoring is not None:
        found.append(f"History archives, as they answered when a run asked them: {anchoring_words(status.anchoring)}.")
    return found


def anchoring_document(found: Anchoring | None) -> dict[str, Any]:
    """What documents say of the history archives that were asked about a chain; None: of none."""
    return {
        "anchored_through": found.through if found else None,
        "archives": [dataclasses.asdict(one) for one in found.archives] if found else [],
    }


def _signature_parts(totals: Totals, chain: str) -> Iterator[str]:
    found = totals.proofs.get(chain)
    if found is None:
        return
    for count, words in (
        (found["signatures"], "signatures"),
        (found["transaction_proofs"], "transaction proofs"),
        (found["failed_signatures"], "signatures or proofs do not hold"),
        (found["failed_events"], "contract events do not hold"),
        (found["rewritten_events"], "contract events rewritten (CAP-67)"),
        (found["unproven"], "ledgers without proof"),
    ):
        if count:
            yield f"{count:,} {words}"
