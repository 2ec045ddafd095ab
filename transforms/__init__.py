"""The stages of the Beam graph: as little logic as possible. They wire, `bronze` does the work.

Modules with stages have no ``from __future__ import annotations``: Beam reads the annotations of a DoFn to
choose coders, and cannot when they are text.
"""
