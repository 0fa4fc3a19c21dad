#!/bin/sh
# Starts the whole platform and waits until it is ready; running it again is harmless.
#   ./start_all.sh                 prints the addresses, and at the first start the login
#   ./start_all.sh --demo          also a demo profile that streams and is recognised live
#   ./start_all.sh --lan           also for other machines, over HTTPS on one port
#   ./start_all.sh --status        each service's state; exit code 3 unless all are ready
#   ./start_all.sh --reset-admin   a new password for the admin account
# Settings: .env (see .env.example). What a failure means: docs/operations.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/semg/platform/python.sh"
python=$(find_python)
"$python" "$here/semg/platform/bootstrap.py"
PYTHONPATH=$here
export PYTHONPATH
exec "$here/.venv/bin/python" -m semg.platform start "$@"
