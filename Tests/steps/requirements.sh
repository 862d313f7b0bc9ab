#!/bin/sh
# Installs the Debian packages that are missing. Usage: requirements.sh build|test
set -eu

# g++ brings the headers and start files of C and C++, which Swift's compiler and linker want.
packages="git g++ libjson-c-dev libpcre2-dev zlib1g-dev"
# FFmpeg's libraries, for libdormouse_media.so.
packages="$packages libavcodec-dev libavformat-dev libavutil-dev libswresample-dev libswscale-dev libjpeg-dev"
# Headers alone: libtiff6 and libheif1 are opened when a picture asks for them.
packages="$packages libtiff-dev libheif-dev"
if [ "${1:-test}" = test ]; then
  packages="$packages gcc binutils pkg-config cmake make python3 python3-venv ffmpeg"
  # The command line opens it for chats on a terminal, where it is there.
  packages="$packages libedit2"
  # What writes the pictures of the tests.
  packages="$packages libheif-examples libjpeg-turbo-progs libtiff-tools"
  # It speaks what real Whisper models hear (real-models.sh).
  packages="$packages espeak-ng"
  # To run the kernels for Arm; an Arm machine runs them in the Swift tests.
  [ "$(uname -m)" != x86_64 ] || packages="$packages qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
fi

if ! command -v swift >/dev/null 2>&1; then
  echo "dormouse: there is no swift command: install Swift 6.3 or later (https://www.swift.org/install/linux)" >&2
  exit 1
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
  echo "== This is no Debian: make sure that you have what these of its packages hold: $packages"
  exit 0
fi

# A toolchain that was unpacked by hand may lack the libraries it stands on.
tool="$(dirname "$(readlink -f "$(command -v swift)")")/swift-build"
if ldd "$tool" 2>/dev/null | grep -q "not found"; then
  packages="$packages libcurl4 libncurses6 libsqlite3-0 libxml2"
fi

missing=""
for package in $packages; do
  if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
    missing="$missing $package"
  fi
done
[ -n "$missing" ] || exit 0

echo "== Installing:$missing"
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null 2>&1; then
  as_root="sudo"
else
  echo "dormouse: these packages are missing, and installing them takes root:$missing" >&2
  exit 1
fi
# The lists may be too old, or not there at all.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
  $as_root apt-get update -qq
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
