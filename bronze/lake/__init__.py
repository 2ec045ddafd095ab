"""A Galexie ledger lake: its object names, its layout and network, and the bytes of its objects.

What lives here reads lakes and never writes them. What the bytes mean does not live here: see `bronze.ledger`.

Begin at `open_lake`, which gives a `Lake`. `layout` computes object keys, `prefetch` requests objects ahead of need,
`zstd_frame` decompresses one; the last two are not imported here, as planning needs neither.
"""

from bronze.lake.lake import Lake, NewestObject
from bronze.lake.layout import LakeLayout
from bronze.lake.opening import LakeOptions, open_lake

__all__ = ["Lake", "LakeLayout", "LakeOptions", "NewestObject", "open_lake"]
