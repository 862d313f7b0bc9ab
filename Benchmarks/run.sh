#!/bin/sh
# Makes the Python environment that a command needs and runs it there. Usage: run.sh compare|turns|versions|accuracy|greedy|service|video|constraints [options]
set -eu
command=${1:-compare}
[ $# = 0 ] || shift
here=$(cd "$(dirname "$0")" && pwd)
case $command in
  greedy) name=greedy-venv requirements="$here/requirements-greedy.txt" ;;
  constraints) name=constraints-venv requirements="$here/requirements-constraints.txt" ;;
  *) name=benchmark-venv requirements="$here/requirements.txt" ;;
esac
environment="$here/../.build/$name"
python="$environment/bin/python"
if ! cmp -s "$requirements" "$environment/installed.txt"; then
  echo "== installing what the benchmark needs into .build/$name" >&2
  [ -x "$python" ] || python3 -m venv "$environment"
  "$python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$environment/installed.txt"
fi
exec "$python" "$here/$command.py" "$@"
