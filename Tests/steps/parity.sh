#!/bin/sh
# Holds the model to its goldens once for each instruction set that this processor has; after `swift test`, which
# builds the tests and runs them with the best set.
set -eu
cd "$(dirname "$0")/../.."
sets=$(.build/release/dormouse kernels --json | sed 's/.*"usable":\[\([^]]*\)\].*/\1/; s/[",]/ /g')
for set in $sets; do
  echo "-- $set"
  DORMOUSE_ISA=$set swift test --skip-build --filter 'ParityTests|DecoderTests' 2>&1 | tail -1
  DORMOUSE_ISA=$set .build/release/dormouse kernels --json | grep -q "\"chosen\":\"$set\""
done
