"""The program without the locks of whole runs, as on two machines that do not see each other's locks of files.

``python -m tests.faults.without_run_lock run --config FILE``. What each commit checks is left to keep one chain.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.launch import chain_locks
from pipeline.main import main


@contextmanager
def _no_locks(*_arguments: Any, **_options: Any) -> Iterator[None]:
    yield


if __name__ == "__main__":
    chain_locks.exclusive_chains = _no_locks
    sys.exit(main())
