#!/bin/sh
# Looks for what a release must not have: locks that do not agree, packages under a licence that does not fit, unsafe
# calls, secrets in tracked files and in the history, files open to others, known vulnerabilities (public lists).
#   testing/audit.sh
# Exit code: 0 all clear; 1 something was found (it is printed); 2 nothing was found, but the public lists could not be
# asked (no network, or a package that they do not have); 3 the environment is not there.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=$root/.venv/bin/python
[ -x "$python" ] || { echo "No environment: run testing/run_tests.sh once, which makes it." >&2; exit 3; }
cd "$root"
PYTHONPATH=$root exec "$python" testing/audit.py
