#!/bin/sh
# Writes the database, and with --videos the videos, to DATA_DIR/backups (mode 600); the platform may run.
#   db/backup.sh [--videos]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH=$here
export PYTHONPATH
exec "$here/.venv/bin/python" -m semg.platform backup "$@"
