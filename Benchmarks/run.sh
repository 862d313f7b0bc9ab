#!/bin/sh
# Makes the benchmark's own Python environment and runs a command in it. Usage: run.sh compare|accuracy [its options]
set -eu
command=${1:-compare}
[ $# = 0 ] || shift
here=$(cd "$(dirname "$0")" && pwd)
environment="$here/../.build/benchmark-venv"
python="$environment/bin/python"
if ! cmp -s "$here/requirements.txt" "$environment/installed.txt"; then
  echo "== installing what the benchmark needs into .build/benchmark-venv" >&2
  [ -x "$python" ] || python3 -m venv "$environment"
  "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$environment/installed.txt"
fi
exec "$python" "$here/$command.py" "$@"
