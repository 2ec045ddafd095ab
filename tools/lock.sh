#!/usr/bin/env bash
# Compiles requirements.txt and requirements-dev.txt from the ranges in setup.py. Needs uv.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # compile OUT HEADER ARGUMENTS...
  local out=$1 header=$2
  shift 2
  {
    printf '%s\n' "$header"
    uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-package bronze-copier "$@"
  } >"$out.new"
  mv "$out.new" "$out"
}

compile requirements.txt '# The complete lock of what bronze-copier runs with. Made by tools/lock.sh from setup.py; do not edit.
#
# Pins that matter beyond being a lock:
#   pyarrow      its writer decides the bytes of every partition: another version gives other checksums, so it is
#                changed only together with the version label of the data
#   zstandard    the decoder of every lake object; its behaviour on damaged frames is relied on and tested
#   pynacl       its libsodium decides which signatures hold, by the rules of stellar-core; edge cases of others differ
#   apache-beam  the local runner is built from internals that later versions may move (pipeline/launch/local_runner.py)
#   stellar-sdk  the XDR table is compiled from its docstrings (tools/compile_xdr_table.py)
#   obstore      the conditions and retries that it sends decide what a lost response can do' \
  setup.py
compile requirements-dev.txt '# What tests and checks need, with everything of requirements.txt. Made by tools/lock.sh from setup.py; do not edit.' \
  --extra test --extra check --constraint requirements.txt setup.py
