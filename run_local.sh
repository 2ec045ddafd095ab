#!/usr/bin/env bash
# Sets everything up in .venv and copies a sample lake:   ./run_local.sh
# Sets up and runs the checks and tests:                  ./run_local.sh test [PYTEST_ARGUMENTS]
#
# PYTHON=python3.12 chooses the interpreter (3.11 to 3.13). Running it again resumes.
set -euo pipefail
cd "$(dirname "$0")"
unset PYTHONDONTWRITEBYTECODE # without bytecode files every start costs seconds

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
die() { printf 'run_local.sh: %s\n' "$*" >&2; exit 2; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
    if supported "$candidate"; then command -v "$candidate"; return; fi
  done
  die "needs Python 3.11 to 3.13${PYTHON:+, $PYTHON is not}: install one, or name it with PYTHON=/path/to/python"
}

debian_packages() { # installs packages as root on Debian; fails elsewhere
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

make_venv() {
  local python
  python=$(find_python)
  if command -v uv >/dev/null; then
    uv venv --quiet --allow-existing --python "$python" .venv
  elif ! "$python" -m venv .venv 2>/dev/null; then
    debian_packages python3-venv && "$python" -m venv .venv ||
      die "'$python -m venv .venv' fails: install your system's venv package (Debian: apt-get install python3-venv)"
  fi
}

install() { # into .venv, with the arguments of pip install
  if command -v uv >/dev/null; then
    uv pip install --quiet --python .venv/bin/python --compile-bytecode "$@"
  else
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
  fi
}

set_up() { # set_up LOCK...: installs again only when an input of the environment changed
  local stamp requirements=() lock file
  file=.venv/stamp-$(printf '%s_' "$@") # one for each set of locks: one set does not undo the other
  stamp=$(cat setup.py pyproject.toml bronze/xdr/walker.py "$@" | sha256sum)
  [ -f "$file" ] && [ "$(cat "$file")" = "$stamp" ] && return
  say "Setting up .venv from $* (once; one to five minutes, about 1 GB)"
  command -v cc >/dev/null || debian_packages gcc libc6-dev ||
    echo "no C compiler: the XDR reader will be interpreted, which works but is slow"
  [ -x .venv/bin/python ] || make_venv
  for lock in "$@"; do requirements+=(-r "$lock"); done
  echo "installing the packages"
  install "${requirements[@]}"
  echo "installing bronze-copier, compiling the XDR reader"
  install --no-deps -e .
  echo "$stamp" >"$file"
}

demo() {
  set_up requirements.txt
  local copier=.venv/bin/bronze-copier
  say "A sample lake: about 200 ledgers of several protocols, 4 in each file"
  "$copier" sample data/lake --ledgers 200 --ledgers-per-file 4 --eras 3 --write-config data/config.yaml
  say "Copying it: every hash recomputed, one partition a file, one audit chain an era"
  "$copier" run --config data/config.yaml
  say "What was published"
  find data -name 'part-*.parquet' | sort -V | sed 's/^/  /'
  say "Verifying it: events, links, manifests and checksums"
  "$copier" verify --config data/config.yaml
  say "Done. Run it again: it resumes and changes nothing"
  echo "For a lake of your own (a directory, s3://… or gs://…):"
  echo "  export PATH=\"$PWD/.venv/bin:\$PATH\""
  echo "  bronze-copier init --lake URL --destination DIRECTORY --out config.yaml"
  echo "  bronze-copier plan --config config.yaml && bronze-copier run --config config.yaml"
  echo "README.md and docs/configuration.md say more."
}

need() { # need PROGRAM_PATTERN PACKAGE: a program that the tests use
  compgen -G "$1" >/dev/null || command -v "$1" >/dev/null || debian_packages "$2" || die "the tests need $1: install $2"
}

run_tests() {
  set_up requirements-dev.txt
  need '/usr/lib/postgresql/*/bin/postgres' postgresql
  need strace strace
  [ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null || debian_packages pgbouncer ||
    echo "no PgBouncer: the tests of a catalog behind a pooler are skipped (apt-get install pgbouncer)"
  command -v prometheus >/dev/null && command -v promtool >/dev/null || debian_packages prometheus ||
    echo "no Prometheus: the tests of the metrics are skipped (apt-get install prometheus)"
  command -v chromium >/dev/null || command -v google-chrome >/dev/null || debian_packages chromium fonts-dejavu-core ||
    echo "no Chromium: the tests of the report in a browser are skipped (apt-get install chromium)"
  .venv/bin/python -m tests.support.s3_server # builds it once where Go is installed, which takes some minutes
  .venv/bin/python -m tests.support.readers & # DuckDB, Polars, Spark and others, once, 2 GB; during the checks
  local readers=$!
  .venv/bin/python -m tests.support.archivist # likewise where cargo is installed
  say "Checks: ruff, mypy"
  .venv/bin/ruff check .
  .venv/bin/ruff format --check .
  .venv/bin/mypy
  wait "$readers" || echo "the engines of docs/reading.md could not be installed: their tests are skipped"
  say "Tests"
  .venv/bin/python -m pytest "$@"
}

case "${1:-}" in
  "") demo ;;
  test) shift; run_tests "$@" ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0"; [ "$1" = --help ] || [ "$1" = -h ] || exit 2 ;;
esac
