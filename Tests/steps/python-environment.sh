#!/bin/sh
# Makes the Python environment of the tests, with the package installed from this repository and its built library.
set -eu
cd "$(dirname "$0")/../.."
environment=.build/test-venv
[ -x "$environment/bin/pip" ] || python3 -m venv "$environment"
# mypy and basedpyright check the types; fastapi and httpx are for the example of a service.
"$environment/bin/python" -c 'import numpy, PIL, pytest, xdist, mypy, basedpyright, fastapi, httpx, uvicorn' 2>/dev/null ||
  "$environment/bin/pip" install --quiet --disable-pip-version-check \
    numpy pillow pytest pytest-xdist mypy basedpyright fastapi httpx uvicorn
rm -rf bindings/python/build
"$environment/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps ./bindings/python
