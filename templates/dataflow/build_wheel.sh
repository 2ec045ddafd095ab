#!/bin/sh
# Builds the wheel of the source tree with its compiled reader: build_wheel.sh SOURCE DIRECTORY [PYTHON]
set -eu
source=$1 wheels=$2 python=${3:-python3}
"$python" -m pip wheel "$source" --no-deps --wheel-dir "$wheels"
# Without a C compiler the build goes on; an interpreted reader is sixty times slower.
"$python" - "$wheels" <<'PYTHON'
import pathlib, sys, zipfile

(wheel,) = pathlib.Path(sys.argv[1]).glob("bronze_copier-*.whl")
if not any(name.startswith("bronze/xdr/walker.") and name.endswith(".so") for name in zipfile.ZipFile(wheel).namelist()):
    sys.exit(f"{wheel} has no compiled reader: is a C compiler installed?")
PYTHON
