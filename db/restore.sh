#!/bin/sh
# Puts a backup in the place of the database, which is kept under another name; the platform must be stopped.
#   db/restore.sh FILE.sql.gz.age [--videos FILE-videos.tar.age] [--identity KEYFILE]
# KEYFILE has the private key, as age-keygen writes it; without it, BACKUP_IDENTITY of .env is used.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH=$here
export PYTHONPATH
exec "$here/.venv/bin/python" -m semg.platform restore "$@"
