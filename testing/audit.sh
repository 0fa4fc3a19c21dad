#!/bin/sh
# Looks up the pinned packages in the public lists of known vulnerabilities; needs pip-audit and a network.
# Exit code: 0 nothing known, 1 something known (it is printed), 2 not all asked: no pip-audit, no network, or a package
# that the lists do not have.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
python=$root/.venv/bin/python
if ! "$python" -m pip_audit --version >/dev/null 2>&1; then
    echo "pip-audit is not there: $python -m pip install pip-audit" >&2
    exit 2
fi
list=$(mktemp)
told=$(mktemp)
trap 'rm -f "$list" "$told"' EXIT
grep -hE '^[a-zA-Z].*==' "$root/requirements.txt" "$root/testing/requirements.txt" >"$list"
"$python" -m pip_audit --no-deps --disable-pip --progress-spinner off -r "$list" >"$told" 2>&1
code=$?
cat "$told"
if [ $code -ne 0 ] && ! grep -qE '^(Found|Name +Version)' "$told"; then
    echo "The lists could not be asked: see to the network, then repeat." >&2
    exit 2
fi
if [ $code -eq 0 ] && grep -q 'could not be audited' "$told"; then
    echo "The packages above were not found in the lists: nothing is known of them, good or bad." >&2
    exit 2
fi
exit $code
