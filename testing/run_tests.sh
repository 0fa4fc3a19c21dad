#!/bin/sh
# Installs what the tests need, then runs ruff, mypy and pytest, and Node's tests where it is. Arguments go to pytest.
#   testing/run_tests.sh              everything
#   testing/run_tests.sh --fast       without servers, browser, firmware, recordings and what is marked slow
#   testing/run_tests.sh --lint       only ruff and mypy, and ESLint when it is installed (npm ci in testing/javascript)
#   testing/run_tests.sh --coverage   everything, and how much of the code ran
# Servers are thrown away after the run, on free ports: a running system and its .env are not touched.
# Without the right to install Debian packages the browser, firmware, proxy, relay, clock, age, no-internet and JavaScript
# layers are skipped, listed; the last one needs root as well. Under REQUIRE_ALL=1 whatever is skipped fails the run (real recordings and LibEMG excepted).
set -u
mode=full
case "${1:-}" in --fast | --lint | --coverage)
    mode=${1#--}
    shift
    ;;
esac
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
has_node() { node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' >/dev/null 2>&1; }
has_node || missing="$missing nodejs"
quick() { [ "$mode" = fast ] || [ "$mode" = lint ]; }
if ! quick && [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
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
has_node || skipped="$skipped javascript(nodejs)"
quick && skipped=""
if [ -n "$skipped" ]; then
    echo "Layers without their Debian package:$skipped"
    if [ "${REQUIRE_ALL:-0}" = 1 ]; then
        echo "REQUIRE_ALL=1: install the package in parentheses, as root or with apt-get." >&2
        exit 1
    fi
fi

export PYTHONPATH="$root" OMP_NUM_THREADS=1 SEMG_ENV_FILE="$root/testing/no.env"
bin=$root/.venv/bin
eslint=testing/javascript/node_modules/.bin/eslint
failed=""
echo "== ruff" && "$bin/python" -m ruff check . && "$bin/python" -m ruff format --check . || failed="$failed ruff"
echo "== mypy" && "$bin/python" -m mypy || failed="$failed mypy"
if [ "$mode" = lint ] && [ -x "$eslint" ]; then
    echo "== eslint" && "$eslint" --config testing/javascript/eslint.config.mjs streamlit_apps testing/javascript ||
        failed="$failed eslint"
fi
if [ "$mode" != lint ] && has_node; then
    echo "== javascript" && node --test --test-reporter=dot testing/javascript/*.test.mjs || failed="$failed javascript"
fi
case $mode in
lint) ;;
fast)
    echo "== pytest, the fast ones"
    "$bin/python" -m pytest -q -m "not (servers or browser or firmware or recordings or slow)" "$@" ||
        failed="$failed pytest"
    ;;
coverage)
    echo "== pytest, with coverage"
    "$bin/python" -m coverage run -m pytest -q "$@" || failed="$failed pytest"
    "$bin/python" -m coverage report || failed="$failed coverage"
    ;;
*) echo "== pytest" && "$bin/python" -m pytest -q "$@" || failed="$failed pytest" ;;
esac
[ -z "$skipped" ] || echo "Skipped layers:$skipped"
if [ -n "$failed" ]; then
    echo "Failed:$failed" >&2
    exit 1
fi
echo "All passed."
