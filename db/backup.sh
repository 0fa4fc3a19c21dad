#!/bin/sh
# Writes the database, and with --videos the videos, to DATA_DIR/backups, encrypted in the age format; the platform may
# run. Who can open them: BACKUP_RECIPIENT, BACKUP_IDENTITY (docs/operations.md).
#   db/backup.sh [--videos]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH=$here
export PYTHONPATH
exec "$here/.venv/bin/python" -m semg.platform backup "$@"
