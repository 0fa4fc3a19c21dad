# Sourced by start_all.sh and testing/run_tests.sh: find_python prints the first Python that can make .venv.
find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    echo "Python 3.11 or later with venv is needed: install it (Debian, Ubuntu: apt install python3 python3-venv)." >&2
    return 1
}
