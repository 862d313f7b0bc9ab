#!/bin/sh
# Checks the types of the Python package, of what calls of it give, and of the examples: mypy --strict, and pyright.
set -eu
cd "$(dirname "$0")/../../bindings/python"
environment="$PWD/../../.build/test-venv"
# The sources, not the installed copy.
export MYPYPATH="$PWD/src" PYTHONPATH="$PWD/src"
"$environment/bin/python" -m mypy --strict --cache-dir ../../.build/mypy src/dormouse tests/typing_checks.py \
  ../../examples/python/*.py
# pyright as a package of PyPI's that brings its own node: pyright itself would fetch one.
"$environment/bin/basedpyright" --pythonpath "$environment/bin/python" --warnings
# Nothing that the package exports is of a type that a checker would have to guess.
"$environment/bin/basedpyright" --pythonpath "$environment/bin/python" --ignoreexternal --verifytypes dormouse |
  grep "^Type completeness score: 100%"
