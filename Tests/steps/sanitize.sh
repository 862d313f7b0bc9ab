#!/bin/sh
# Runs 10,000 random operations on sessions, from eight threads, and the other tests of sessions and of the cache, under
# ThreadSanitizer and AddressSanitizer (with leaks). Usage: sanitize.sh [thread|address ...]
# Where the system does not let a sanitizer work at all, it fails and leaves .build/sanitize-refused.
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- thread address
rm -f .build/sanitize-refused
for sanitizer in "$@"; do
  folder=.build/sanitize-$sanitizer
  log=$folder/log
  echo "== $sanitizer sanitizer"
  mkdir -p "$folder"
  # Containers may forbid what sanitizers stand on: to lay out memory anew, to look into a process for leaks.
  echo 'print("at work")' >"$folder/probe.swift"
  if ! { swiftc -sanitize="$sanitizer" -o "$folder/probe" "$folder/probe.swift" && "$folder/probe"; } >"$log" 2>&1; then
    echo "dormouse: the $sanitizer sanitizer does not work on this system:" >&2
    tail -n 5 "$log" >&2
    touch .build/sanitize-refused
    exit 1
  fi
  # The shared library's `-z defs` refuses the sanitizer's own symbols: the tests alone are built.
  swift build --product dormousePackageTests --sanitize="$sanitizer" --scratch-path "$folder" >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    exit 1
  }
  DORMOUSE_STRESS_OPERATIONS=10000 TSAN_OPTIONS=exitcode=66 ASAN_OPTIONS=detect_leaks=1 \
    "$folder/debug/dormousePackageTests.xctest" --testing-library swift-testing \
    --filter "StressTests|SchedulerTests|PrefixSharingTests|SlidingTests|DormouseCacheTests|MediaChat|VoiceChat|DormouseEngineTests.SpeechTests" >"$log" 2>&1 || {
    grep -E "WARNING|ERROR|SUMMARY|recorded an issue" "$log" >&2 || tail -n 30 "$log" >&2
    exit 1
  }
  sed -n 's/^.*\(Test run with.*\)$/\1/p' "$log"
done
