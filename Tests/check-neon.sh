#!/bin/sh
# Compiles the kernel sources for 64-bit Arm, without an Arm machine or its system libraries: what the compiler accepts
# for a bare Arm target in Embedded Swift it accepts for a whole one. Fails unless fused multiplications come out.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
for set in NEON BASELINE; do
  swiftc -target aarch64-none-none-elf -enable-experimental-feature Embedded -wmo -O -parse-as-library \
    -module-name "DormouseCPU$set" -D "ISA_$set" -Xcc -march=armv8.2-a+dotprod -Xcc -ffreestanding \
    -I "$root/Sources/CPlatform/include" -c "$root"/Sources/CPUKernels/*.swift -o "$output/$set.o"
  fused=$(llvm-objdump --disassemble "$output/$set.o" | grep -cE '\sfmla\s' || true)
  [ "$fused" -gt 0 ] || { echo "check-neon: $set holds no fmla" >&2; exit 1; }
  echo "$set: $fused fmla"
done
echo "check-neon: passed"
