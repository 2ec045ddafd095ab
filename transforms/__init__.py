"""The stages of the Beam graph: as little logic as possible. They wire, `bronze` does the work.

Begin at `graph.CopyPartitions`. Elements are references and outcomes (`elements`), never ledger bytes. A stage must not
decide what is published or committed, and must give the same result when the runner repeats a bundle.

Modules with stages have no ``from __future__ import annotations``: Beam reads the annotations of a DoFn to choose
coders, and cannot when they are text. Nothing is exported here, because every module loads Beam.
"""

__all__: list[str] = []
