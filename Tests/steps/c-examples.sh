#!/bin/sh
# Builds the C examples against an installed copy, with pkg-config and with CMake, and runs them. Usage: c-examples.sh PREFIX
set -eu
cd "$(dirname "$0")/../.."
prefix=$(cd "$1" && pwd)
model=examples/models/dormouse-tiny
omni=examples/models/dormouse-omni
media=examples/media
folder=.build/c-examples
rm -rf "$folder"
mkdir -p "$folder"

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
for example in chat look forks router latent_cache; do
  # shellcheck disable=SC2046
  cc -std=c99 -pthread -pedantic -Wall -Wextra -Werror "examples/c/$example.c" $(pkg-config --cflags --libs dormouse) \
    -o "$folder/$example"
done
cmake -S examples/c -B "$folder/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$folder/cmake.log" || { cat "$folder/cmake.log"; exit 1; }
cmake --build "$folder/cmake" >>"$folder/cmake.log" || { cat "$folder/cmake.log"; exit 1; }

expect() { # words command...
  words=$1
  shift
  output=$("$@")
  case $output in
    *"$words"*) ;;
    *) echo "c-examples: $* says '$output', which has no '$words'" >&2; exit 1 ;;
  esac
}
for built in "$folder" "$folder/cmake"; do
  # What pkg-config found stands in no standard place; CMake wrote the path into its programs.
  [ "$built" = "$folder" ] && export LD_LIBRARY_PATH="$prefix/lib" || unset LD_LIBRARY_PATH
  expect "7 plus 5 is 12." "$built/chat" "$model" "What is 7 plus 5?"
  # What JSON escapes is answered like anything else.
  "$built/chat" "$model" 'Say "\".' "$(printf 'two\nlines')" >/dev/null
  if "$built/chat" "$model" "$(printf '%05000d' 7)" 2>/dev/null; then
    echo "c-examples: a question that is too long was answered" >&2
    exit 1
  fi
  expect "A red circle and a blue star." "$built/look" "$omni" image "$media/shapes.png" "What is in the picture?"
  expect "I hear rabbit." "$built/look" "$omni" audio "$media/rabbit.wav" "What do you hear?"
  expect "What is 7 plus 2?  7 plus 2 is 9." "$built/forks" "$model" "What is 7 plus" " 5?" " 2?"
  expect "token 1:  expert 4 x" "$built/router"
  expect "3 rows, " "$built/latent_cache"
done
echo "c-examples: built with pkg-config and CMake, and run"
