#!/bin/sh
# Measures every usable instruction set on a model of DeepSeek-V2-Lite's shape (or on MODEL, when it is given) beside
# the limits of this machine. Keep the machine idle. Usage: run.sh [MODEL]
set -eu
cd "$(dirname "$0")/.."
dormouse=.build/release/dormouse
model=${1:-}
if [ -z "$model" ]; then
  model=.build/benchmark-model
  if [ ! -f "$model/config.json" ]; then
    echo "== writing a random model of DeepSeek-V2-Lite's shape, 2 layers, 1.5 GB, to $model"
    python3 Benchmarks/make_model.py "$model"
  fi
fi
"$dormouse" kernels
for set in $("$dormouse" kernels --json | sed 's/.*"usable":\[\([^]]*\)\].*/\1/; s/[",]/ /g'); do
  echo "== $set"
  # The baseline is the reference for correctness, far too slow for a long prompt.
  prompt=512 && [ "$set" != baseline ] || prompt=32
  DORMOUSE_ISA=$set "$dormouse" bench "$model" --prompt "$prompt" --gen 32 --reps 3
done
