#!/bin/sh
# Runs the kernels for 64-bit Arm on this machine: Embedded Swift compiles them as in check-neon.sh, a C driver
# (Tests/NEON) holds each to plain sums, an emulator runs both. Needs qemu-aarch64 and the C library for Arm, to which
# clang and lld of the Swift toolchain link (the linker of gcc refuses a symbol of Embedded Swift).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
for set in NEON BASELINE; do
  swiftc -target aarch64-none-none-elf -enable-experimental-feature Embedded -wmo -O -parse-as-library \
    -module-name "DormouseCPU$set" -D "ISA_$set" -Xcc -march=armv8.2-a+dotprod -Xcc -ffreestanding \
    -I "$root/Sources/CPlatform/include" -c "$root"/Sources/CPUKernels/*.swift "$root/Tests/NEON/shim.swift" \
    -o "$output/$set.o"
  clang --target=aarch64-linux-gnu -fuse-ld=lld -static -std=c11 -O1 -Wall -Werror -I "$root/Sources/CPlatform/include" \
    "$root"/Tests/NEON/*.c "$output/$set.o" -lm -o "$output/$set"
  # max: every feature the emulator knows, the dot product among them.
  echo "$set:"
  qemu-aarch64 -cpu max "$output/$set"
done
echo "check-neon-run: passed"
