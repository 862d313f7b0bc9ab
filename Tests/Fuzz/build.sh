#!/bin/sh
# Builds the fuzz target Tests/Fuzz/NAME.swift with libFuzzer and AddressSanitizer:
#   Tests/Fuzz/build.sh NAME [OUTPUT]
# Run the result with SWIFT_BACKTRACE=enable=no; otherwise a crash starts a backtracer that may hang:
#   SWIFT_BACKTRACE=enable=no OUTPUT -max_total_time=30 -max_len=16384 SCRATCH Tests/Fuzz/corpus/NAME
# libFuzzer writes what it finds into SCRATCH, a folder of its own; the corpus is only read. Modules are compiled once for
# all targets, and again when one of their sources or this script has changed. FUZZ_OPTIMIZATION=-Onone compiles them in
# a third of the time, and what they read then takes longer.
set -eu
name=${1:?usage: Tests/Fuzz/build.sh NAME [OUTPUT]}
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/.build/fuzz
output=${2:-$build/$name}
optimization=${FUZZ_OPTIMIZATION:--O}
mkdir -p "$build/modules$optimization"
cd "$build/modules$optimization"

# The modules from the lowest floor up; a target may import any of those it needs.
kernels() {
  case $(uname -m) in
    x86_64) echo DormouseCPUBaseline DormouseCPUAVX2 DormouseCPUAVX512 ;;
    *) echo DormouseCPUBaseline DormouseCPUNEON ;;
  esac
}
c_modules="CPlatform CHost" libraries=""
case $name in
  tokenizer | template) modules="DormouseSupport DormouseText" ;;
  constraint) modules="DormouseSupport DormouseGrammar" ;;
  safetensors) modules="DormouseSupport $(kernels) DormouseKernels DormouseWeights" ;;
  snapshot) modules="DormouseSupport $(kernels) DormouseKernels DormouseCache" ;;
  media)
    modules="DormouseSupport DormouseBoundary DormouseMediaFiles"
    c_modules="CPlatform CHost CJPEG" libraries="-ljpeg" ;;
  config)
    modules="DormouseSupport $(kernels) DormouseKernels DormouseWeights DormouseCache DormouseLayers DormouseModel" ;;
  *) echo "unknown fuzz target '$name'" >&2; exit 2 ;;
esac

# As in Package.swift; but kernels parse nothing, and are not worth the time that optimising them takes.
module_flags() {
  case $1 in DormouseCPU*) echo -Onone ;; *) echo "$optimization" ;; esac
  case $1 in
    DormouseCPUBaseline) echo -D ISA_BASELINE ;;
    DormouseCPUAVX2) echo -D ISA_AVX2 -Xcc -mavx2 -Xcc -mfma -Xcc -mf16c ;;
    DormouseCPUAVX512)
      echo -D ISA_AVX512 -Xcc -march=x86-64-v4 -Xcc -mavx512vnni -Xcc -mavx512bf16 -Xcc -mprefer-vector-width=512 ;;
    DormouseCPUNEON) echo -D ISA_NEON -Xcc -march=armv8.2-a+dotprod ;;
  esac
}

sources=$root/Sources
swiftc=$(command -v swiftc)
flags="-wmo -swift-version 6 -parse-as-library -sanitize=fuzzer,address -I . -I $sources/CPlatform/include
  -I $sources/CHost/include -I $sources/CJSON -I $sources/CPCRE2 -I $root/include -I $sources/CFFmpeg -I $sources/CDormouseMedia
  -I $sources/CJPEG/include -I $sources/CImageLibraries"

# Whether an object is there and newer than all it is made from.
is_current() { # object source...
  object=$1
  shift
  [ -f "$object" ] || return 1
  set -- "$@" "$root/Tests/Fuzz/build.sh" "$root/include" "$sources/CPlatform" "$sources/CHost"
  [ -z "$(find -L "$@" -newer "$object" -type f | head -n 1)" ]
}

# Into a file of another name first: what is interrupted leaves nothing that looks complete. Targets that are built at
# the same time wait for each other where they need the same module.
compile() { # module, objects of lower floors...
  module=$1
  shift
  (
    flock 9
    is_current "$module.o" "$sources/$module" "$@" && exit
    # shellcheck disable=SC2046,SC2086
    "$swiftc" $flags $(module_flags "$module") -module-name "$module" -emit-module \
      -emit-module-path "$module.swiftmodule" -c $(find -L "$sources/$module" -name '*.swift' | sort) -o "$module.new.o"
    mv "$module.new.o" "$module.o"
  ) 9>"$module.lock"
}

compile_c() { # module
  module=$1
  (
    flock 9
    for source in "$sources/$module"/*.c; do
      object=$module-$(basename "$source" .c).o
      is_current "$object" && continue
      "$(dirname "$(readlink -f "$swiftc")")/clang" -O1 -g -fexceptions -fsanitize=address,fuzzer-no-link \
        -I "$sources/$module/include" -c "$source" -o "$object.new"
      mv "$object.new" "$object"
    done
  ) 9>"$module.lock"
}

for module in $c_modules; do compile_c "$module"; done
# Kernels stand on nothing but C, and are compiled side by side.
processes=""
for module in $modules; do
  case $module in
    DormouseCPU*)
      compile "$module" &
      processes="$processes $!" ;;
  esac
done
for process in $processes; do wait "$process"; done
lower=""
for module in $modules; do
  # shellcheck disable=SC2086
  case $module in DormouseCPU*) ;; *) compile "$module" $lower ;; esac
  lower="$lower $module.o"
done

objects=""
for module in $c_modules; do
  for source in "$sources/$module"/*.c; do objects="$objects $module-$(basename "$source" .c).o"; done
done
for module in $modules; do objects="$objects $module.o"; done
# shellcheck disable=SC2086
"$swiftc" $flags "$optimization" -use-ld=lld -module-name "Fuzz_$name" "$root/Tests/Fuzz/$name.swift" $objects \
  -Xlinker -l:libjson-c.a -Xlinker -l:libpcre2-8.a $libraries -o "$output"
echo "$output"
