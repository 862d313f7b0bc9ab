#!/bin/sh
# Runs the Swift tests, which are built (swift build -c release --build-tests), once for each instruction set that this
# processor has, the best first, which is chosen without being asked for; and on each of the others those of the tests of
# Python and of the command line whose results come from kernels: their own steps run all of them on the best. What has
# no kernels in it, or takes all sets one after the other in its own process, runs once.
set -eu
cd "$(dirname "$0")/../.."
log=.build/instruction-sets.log
python=.build/test-venv/bin/python
command=${DORMOUSE_BIN:-.build/release/dormouse}
tests=.build/release/dormousePackageTests.xctest
once='^Dormouse(Kernels|Support|Text|MediaFiles)Tests\.'
reached=""

# What a set's run says when it fails: everything but the tests that passed.
failed() { # set
  grep -vE '^\[[0-9]+/[0-9]+\] |^. Test .*(started|passed)' "$log" | tail -n 200
  echo "instruction-sets: the tests failed on $1" >&2
  exit 1
}

# The process itself says what it ran on (Tests/DormouseEngineTests/InstructionSetTests.swift).
prove() { # set
  grep -qx "instruction set of this run: $1" "$log" || {
    echo "instruction-sets: the tests were to run on $1, but say: $(grep '^instruction set of this run' "$log")" >&2
    exit 1
  }
  reached="${reached:+$reached, }$1"
  echo "-- $1: $(grep -E 'Test run with [0-9]+ tests' "$log" | tail -n 1 | sed 's/^[^T]*//')"
}

python_tests() { # files...
  "$python" -m pytest -q -p no:cacheprovider -n 2 --dist loadfile "$@" >"$log" 2>&1 || failed "$set"
  echo "-- $set: $*: $(tail -n 1 "$log")"
}

swift_tests() { # options...
  "$tests" --testing-library swift-testing "$@" >"$log" 2>&1 || failed "$set"
  prove "$set"
}

usable=$("$command" kernels --json | sed 's/.*"usable":\[\([^]]*\)\].*/\1/; s/[",]/ /g')
sets=""
for set in $usable; do sets="$set $sets"; done
best=${sets%% *}

set=$best
swift_tests
for set in $sets; do
  [ "$set" = "$best" ] && continue
  export DORMOUSE_ISA="$set"
  swift_tests --skip "$once"
  # These hold the set that the library and the command say they chose to DORMOUSE_ISA.
  python_tests Tests/CLITests/test_commands.py Tests/CLITests/test_omni.py Tests/CLITests/test_packed_cache.py
  python_tests bindings/python/tests/test_parts.py bindings/python/tests/test_packed_matrix.py
done
echo "instruction-sets: the tests ran on $reached"
