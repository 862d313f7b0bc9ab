#!/bin/sh
# Compiles the kernel sources for 64-bit Arm, without an Arm machine or its system libraries: what the compiler accepts
# for a bare Arm target in Embedded Swift it accepts for a whole one. Fails unless fused multiplications come out. Then a
# C driver (Tests/NEON) holds each kernel to plain sums, and an emulator runs both. That needs qemu-aarch64 and the C
# library for Arm, to which clang and lld of the Swift toolchain link (the linker of gcc refuses a symbol of Embedded
# Swift); on an Arm machine the Swift tests run the kernels.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT

compile() { # set
  swiftc -target aarch64-none-none-elf -enable-experimental-feature Embedded -wmo -O -parse-as-library \
    -module-name "DormouseCPU$1" -D "ISA_$1" -Xcc -march=armv8.2-a+dotprod -Xcc -ffreestanding \
    -I "$root/Sources/CPlatform/include" -c "$root"/Sources/CPUKernels/*.swift "$root/Tests/NEON/shim.swift" \
    -o "$output/$1.o"
}

run() { # set
  clang --target=aarch64-linux-gnu -fuse-ld=lld -static -std=c11 -O1 -Wall -Werror -I "$root/Sources/CPlatform/include" \
    "$root"/Tests/NEON/*.c "$output/$1.o" -lm -o "$output/$1"
  # max: every feature the emulator knows, the dot product among them.
  qemu-aarch64 -cpu max "$output/$1"
}

compile NEON &
other=$!
compile BASELINE
wait $other
for set in NEON BASELINE; do
  fused=$(llvm-objdump --disassemble "$output/$set.o" | grep -cE '\sfmla\s' || true)
  [ "$fused" -gt 0 ] || { echo "check-neon: $set holds no fmla" >&2; exit 1; }
  echo "$set: $fused fmla"
  [ "$(uname -m)" != x86_64 ] || run "$set"
done
echo "check-neon: passed"
