#!/bin/sh
# Fuzzes every parser of untrusted files, two at a time. Usage: fuzz.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-30}
folder=.build/fuzz
mkdir -p "$folder"

# Builds and runs one target; what it says goes to a file, which is shown when something is wrong.
fuzz() {
  log="$folder/$1.log"
  Tests/Fuzz/build.sh "$1" >"$log" 2>&1 || return 1
  rm -rf "$folder/$1.found"
  mkdir -p "$folder/$1.found"
  seeds=Tests/Fuzz/corpus/$1
  if [ -x "Tests/Fuzz/$1-seeds.sh" ]; then
    seeds=$folder/$1.seeds
    "Tests/Fuzz/$1-seeds.sh" "$seeds" >>"$log" 2>&1 || return 1
  fi
  SWIFT_BACKTRACE=enable=no "$folder/$1" -max_total_time="$seconds" -max_len=16384 -timeout=20 \
    -artifact_prefix="$folder/$1.found/" "$folder/$1.found" "$seeds" >>"$log" 2>&1
}

failed=""
finish() { # name process
  if wait "$2"; then
    echo "fuzz $1: $(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$folder/$1.log")"
  else
    tail -n 30 "$folder/$1.log" >&2
    failed="$failed $1"
  fi
}

previous=""
for target in $(ls Tests/Fuzz/*.swift | sort); do
  name=$(basename "$target" .swift)
  fuzz "$name" &
  process=$!
  [ -z "$previous" ] || finish $previous
  previous="$name $process"
done
[ -z "$previous" ] || finish $previous

if [ -n "$failed" ]; then
  echo "fuzz: something is wrong with$failed (logs and inputs are in $folder)" >&2
  exit 1
fi
