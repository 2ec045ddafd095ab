"""The domain of Bronze Copier, without Beam.

Eras and partitions, the lake, the XDR reader, the table, the store, manifests, audit events,
checkpoints, the commit protocol. Nothing here imports ``transforms`` or ``pipeline``.
"""
