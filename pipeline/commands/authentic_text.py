"""What the summary of a run says of the authenticity of what it copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bronze.authenticity.quorum import Attestation
    from pipeline.launch.prepare import Prepared
    from pipeline.telemetry.totals import Totals


def authentic_lines(prepared: Prepared, totals: Totals, attested: Mapping[str, Attestation]) -> Iterator[str]:
    """One line for each chain of which something is known.

    Args:
        attested: by chain, how far it is attested; chains whose attestation was not asked for are left out.
    """
    networks = [plan.era.network for plan in prepared.plans]
    for plan in prepared.plans:
        chain = plan.era.chain
        parts = [*_signature_parts(totals, chain)]
        if chain in attested:
            parts.append(attestation_words(attested[chain]))
        if parts:
            name = plan.era.network if networks.count(plan.era.network) == 1 else chain
            yield f"authentic    {name}: {', '.join(parts)}"


def attestation_words(found: Attestation) -> str:
    """How far a chain is attested, in words.

    >>> from bronze.authenticity.quorum import Attestation
    >>> attestation_words(Attestation(through=63092940, organizations=7, out_of=7))
    'attested through 63,092,940 by 7 of 7 organizations'
    """
    if found.through is None:
        return f"no ledger attested by a quorum of the {_organizations(found.out_of)}"
    return f"attested through {found.through:,} by {found.organizations} of {_organizations(found.out_of)}"


def _organizations(count: int) -> str:
    return f"{count} organization{'' if count == 1 else 's'}"


def _signature_parts(totals: Totals, chain: str) -> Iterator[str]:
    found = totals.proofs.get(chain)
    if found is None:
        return
    for count, words in (
        (found["signatures"], "signatures"),
        (found["transaction_proofs"], "transaction proofs"),
        (found["failed_signatures"], "signatures or proofs do not hold"),
        (found["failed_events"], "contract events do not hold"),
        (found["unproven"], "ledgers without proof"),
    ):
        if count:
            yield f"{count:,} {words}"
