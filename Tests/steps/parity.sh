#!/bin/sh
# Holds the model to its goldens once for each instruction set that this processor has; after `swift test`, which
# builds the tests and runs them with the best set.
set -eu
cd "$(dirname "$0")/../.."
log=.build/parity.log
sets=$(.build/release/dormouse kernels --json | sed 's/.*"usable":\[\([^]]*\)\].*/\1/; s/[",]/ /g')
for set in $sets; do
  DORMOUSE_ISA=$set .build/release/dormouse kernels --json | grep -q "\"chosen\":\"$set\""
  DORMOUSE_ISA=$set swift test --skip-build --filter 'ParityTests|DecoderTests' >"$log" 2>&1 || {
    tail -n 100 "$log"
    exit 1
  }
  # A filter that matches nothing passes too.
  grep -q 'Test greedyContinuation.* passed' "$log"
  echo "-- $set: $(tail -n 1 "$log")"
done
