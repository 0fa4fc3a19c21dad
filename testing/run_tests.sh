#!/bin/sh
# Installs what the tests need, then runs ruff, mypy and pytest. Arguments go to pytest.
# Servers are thrown away after the run, on free ports: a running system and its .env are not touched.
# Without the right to install Debian packages the browser, firmware, proxy, relay, clock, age and no-internet layers are
# skipped, listed; the last one needs root as well. Under REQUIRE_ALL=1 whatever is skipped fails the run (real recordings excepted).
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
. semg/platform/python.sh
python=$(find_python) || exit 1
"$python" semg/platform/bootstrap.py --also testing/requirements.txt || exit 1

missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-dejavu-core"
command -v g++ >/dev/null 2>&1 || missing="$missing g++"
has_nginx() { command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ]; }
has_nginx || missing="$missing nginx-light"
command -v turnserver >/dev/null 2>&1 || missing="$missing coturn"
has_faketime() { ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1; }
has_faketime || missing="$missing libfaketime"
command -v age >/dev/null 2>&1 || missing="$missing age"
has_namespaces() { command -v unshare >/dev/null 2>&1 && { command -v ip >/dev/null 2>&1 || [ -x /usr/sbin/ip ]; }; }
has_namespaces || missing="$missing iproute2 util-linux"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian packages:$missing (details in logs/apt.log) …"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends $missing; } >logs/apt.log 2>&1 ||
        { echo "They could not be installed:" >&2 && tail -n 3 logs/apt.log >&2; }
fi
skipped=""
command -v chromium >/dev/null 2>&1 || skipped="$skipped browser(chromium)"
command -v g++ >/dev/null 2>&1 || skipped="$skipped firmware(g++)"
has_nginx || skipped="$skipped proxy(nginx-light)"
command -v turnserver >/dev/null 2>&1 || skipped="$skipped relay(coturn)"
has_faketime || skipped="$skipped clock(libfaketime)"
command -v age >/dev/null 2>&1 || skipped="$skipped backups(age)"
has_namespaces || skipped="$skipped no-internet(iproute2,util-linux)"
if [ -n "$skipped" ]; then
    echo "Layers without their Debian package:$skipped"
    if [ "${REQUIRE_ALL:-0}" = 1 ]; then
        echo "REQUIRE_ALL=1: install the package in parentheses, as root or with apt-get." >&2
        exit 1
    fi
fi

export PYTHONPATH="$root" OMP_NUM_THREADS=1 SEMG_ENV_FILE="$root/testing/no.env"
bin=$root/.venv/bin
failed=""
echo "== ruff" && "$bin/python" -m ruff check . || failed="$failed ruff"
echo "== mypy" && "$bin/python" -m mypy || failed="$failed mypy"
echo "== pytest" && "$bin/python" -m pytest -q "$@" || failed="$failed pytest"
[ -z "$skipped" ] || echo "Skipped layers:$skipped"
if [ -n "$failed" ]; then
    echo "Failed:$failed" >&2
    exit 1
fi
echo "All passed."
