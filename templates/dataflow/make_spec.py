"""Prints the template file of an image: ``python3 make_spec.py IMAGE METADATA > bronze-copier.json``.

What ``gcloud dataflow flex-template build`` writes, with the defaults of docs/dataflow.md. Needs nothing but Python.
"""

import json
import sys
from pathlib import Path

#: As `pipeline/launch/dataflow_options.py` has them.
MACHINE_TYPE, DISK_SIZE_GB, MAX_WORKERS = "n2-standard-2", 30, 40


def container_spec(image: str, metadata: dict) -> dict:
    """The template file."""
    return {
        "image": image,
        "sdkInfo": {"language": "PYTHON"},
        "metadata": metadata,
        "defaultEnvironment": {
            "sdkContainerImage": image,
            "machineType": MACHINE_TYPE,
            "diskSizeGb": DISK_SIZE_GB,
            "maxWorkers": MAX_WORKERS,
        },
    }


if __name__ == "__main__":
    described = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    print(json.dumps(container_spec(sys.argv[1], described), indent=2))
