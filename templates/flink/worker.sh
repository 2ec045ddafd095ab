#!/bin/sh
# The boot command of workers from a source tree, where the program bronze-copier-worker is not installed:
#   --environment_config='{"command": "/path/templates/flink/worker.sh", "env": {"BRONZE_PYTHON": "/path/.venv/bin/python"}}'
PYTHONPATH=$(cd "$(dirname "$0")/../.." && pwd)${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec "${BRONZE_PYTHON:-python3}" -P -m pipeline.beam_worker "$@"
