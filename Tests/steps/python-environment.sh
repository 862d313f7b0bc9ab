#!/bin/sh
# Makes the Python environment of the tests: the packages they need, and dormouse, installed from this repository with its
# built library. Usage: python-environment.sh packages|package
set -eu
cd "$(dirname "$0")/../.."
environment=.build/test-venv
if [ "${1:?packages or package}" = packages ]; then
  [ -x "$environment/bin/pip" ] || python3 -m venv "$environment"
  # mypy and basedpyright check the types; fastapi and httpx are for the example of a service.
  "$environment/bin/python" -c 'import numpy, PIL, pytest, xdist, mypy, basedpyright, fastapi, httpx, uvicorn, jsonschema, pydantic' 2>/dev/null ||
    "$environment/bin/pip" install --quiet --disable-pip-version-check \
      numpy pillow pytest pytest-xdist mypy basedpyright fastapi httpx uvicorn jsonschema pydantic
  exit 0
fi
rm -rf bindings/python/build
"$environment/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps ./bindings/python
