#!/bin/sh
# Checks what the kernel targets were compiled to. Usage: Tests/check-kernel-objects.sh [BUILD_FOLDER]
# (default .build/debug). Fails when
# - an object holds weak code that other modules may hold under the same name: the linker keeps one copy of such a
#   function for all, and it may be the one with AVX-512 (specialisations of the standard library's generics are such);
# - an object of the baseline, or of any target without an instruction set of its own, holds AVX instructions;
# - an object of AVX2 or AVX-512 holds none: the flags did not arrive;
# - there are no objects to check.
set -eu
build=${1:-.build/debug}
failures=0
listing=$(mktemp)
trap 'rm -f "$listing"' EXIT

fail() {
  echo "check-kernel-objects: $*" >&2
  failures=$((failures + 1))
}

# Lines of the disassembly whose mnemonic starts with v or whose operands name a ymm or zmm register.
avx_lines() {
  llvm-objdump --disassemble --no-show-raw-insn --no-leading-addr "$1" >"$listing"
  grep -cE '^[[:space:]]+(v[a-z0-9]+[[:space:]]|.*%[yz]mm[0-9])' "$listing" || true
}

check_weak() { # object module
  mangled="\$s${#2}$2"
  weak=$(nm "$1" | awk -v own="$mangled" '$(NF - 1) == "W" && index($NF, own) != 1 { print $NF }')
  [ -z "$weak" ] || fail "$1: weak symbols that are not $2's own: $(echo "$weak" | head -n 5 | tr '\n' ' ')"
}

case $(uname -m) in
  x86_64) targets="DormouseCPUBaseline DormouseCPUAVX2 DormouseCPUAVX512"; is_x86=1 ;;
  *) targets="DormouseCPUBaseline DormouseCPUNEON"; is_x86=0 ;;
esac

for target in $targets; do
  found=0
  wide=0
  for object in "$build/$target.build"/*.o; do
    [ -f "$object" ] || continue
    found=$((found + 1))
    check_weak "$object" "$target"
    [ $is_x86 = 1 ] || continue
    lines=$(avx_lines "$object")
    wide=$((wide + lines))
    if [ "$target" = DormouseCPUBaseline ] && [ "$lines" != 0 ]; then
      fail "$object: $lines AVX instructions in the baseline"
    fi
  done
  [ $found != 0 ] || fail "$build/$target.build: no objects; build first"
  if [ $is_x86 = 1 ] && [ "$target" != DormouseCPUBaseline ] && [ $wide = 0 ]; then
    fail "$build/$target.build: no AVX instructions; were the flags lost?"
  fi
  echo "$target: $found objects"
done

# The callers of the kernels run on every processor.
if [ $is_x86 = 1 ]; then
  for target in DormouseKernels DormouseSupport; do
    for object in "$build/$target.build"/*.o; do
      [ -f "$object" ] || continue
      lines=$(avx_lines "$object")
      [ "$lines" = 0 ] || fail "$object: $lines AVX instructions outside the kernel targets"
    done
  done
fi

[ $failures = 0 ] || exit 1
echo "check-kernel-objects: passed"
