#!/bin/sh
# Stops everything that start_all.sh started from this folder, and nothing else.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$here/.venv/bin/python
if [ ! -x "$python" ]; then
    if [ -e "$here/data/run/state.json" ]; then
        echo "Not stopped: .venv is gone; run ./start_all.sh once, it makes .venv again, and then ./stop_all.sh." >&2
        exit 1
    fi
    echo "Nothing runs."
    exit 0
fi
PYTHONPATH=$here
export PYTHONPATH
exec "$python" -m semg.platform stop "$@"
