#!/bin/sh
# Runs the tests: `make test`. Slower ones have commands of their own: make arm, fuzz, real-models, sanitize.
# Goes on after a step that fails, unless the rest stands on it, and says at the end.
set -u
cd "$(dirname "$0")/../.."
prefix="$PWD/.build/test-prefix"
mkdir -p .build
failed=""
start=$(date +%s)

step() { # name command...
  name=$1
  shift
  began=$(date +%s)
  echo
  echo "== $name"
  if "$@"; then
    echo "-- $name: done in $(($(date +%s) - began)) s"
  else
    echo "-- $name: FAILED" >&2
    failed="$failed; $name"
  fi
}

# The same for what everything else needs.
base() {
  step "$@"
  [ -z "$failed" ] || finish
}

finish() {
  echo
  if [ -n "$failed" ]; then
    echo "dormouse: failed: ${failed#; }"
    exit 1
  fi
  echo "dormouse: all tests passed ($((($(date +%s) - start) / 60)) min)"
  exit 0
}

# Keeps what a command has to say for the case that it fails.
quietly() { # lines command...
  lines=$1
  shift
  log=.build/test.log
  if "$@" >"$log" 2>&1; then
    tail -n "$lines" "$log"
  else
    grep -vE '^\[[0-9]+/[0-9]+\] |^. Test .*(started|passed)' "$log" | tail -n 200
    return 1
  fi
}

python_environment() {
  wait "$packages" || { cat .build/python-environment.log; return 1; }
  Tests/steps/python-environment.sh package
}

# A process for each processor; one file's tests stay together, since they share what is made for them.
python_tests() { .build/test-venv/bin/python -m pytest -q -p no:cacheprovider -n 2 --dist loadfile "$@"; }

base "requirements" Tests/steps/requirements.sh test
# Python's packages come from the network while the compiler takes the processors.
Tests/steps/python-environment.sh packages >.build/python-environment.log 2>&1 &
packages=$!
# The tests are built beside what is shipped and run on its code.
base "release build" quietly 1 swift build -c release --build-tests
base "installation" Tests/steps/install.sh "" "$prefix"
base "Python environment" python_environment
step "architecture" python_tests Tests/ArchitectureTests
export DORMOUSE_PREFIX="$prefix" DORMOUSE_BIN="$prefix/bin/dormouse"
step "Swift tests on every instruction set" Tests/steps/instruction-sets.sh
step "kernel objects" quietly 1 Tests/check-kernel-objects.sh .build/release
step "C ABI" python_tests Tests/ABITests
step "command line" python_tests Tests/CLITests
step "media files" python_tests Tests/MediaTests
step "Python" python_tests bindings/python/tests
step "Python types" Tests/steps/python-types.sh
step "benchmark" python_tests Tests/BenchmarkTests
step "C examples" Tests/steps/c-examples.sh "$prefix"
step "Python and shell examples" Tests/steps/script-examples.sh "$prefix"
finish
