#!/bin/sh
# Installs what the image runs: install.sh WHEELS REQUIREMENTS LAUNCHER ROOT [PYTHON]
# The pinned packages, the wheel, and the launcher's entry point at ROOT/template/launch.py.
set -eu
wheels=$1 requirements=$2 launcher=$3 root=$4 python=${5:-python3}
"$python" -m pip install --no-cache-dir --disable-pip-version-check --requirement "$requirements"
"$python" -m pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps "$wheels"/bronze_copier-*.whl
mkdir -p "$root/template"
install -m 0644 "$launcher" "$root/template/launch.py"
"$python" -I -c 'from bronze.xdr import is_compiled; from pipeline import flex_template; assert is_compiled()'
