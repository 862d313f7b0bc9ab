#!/bin/sh
# Installs what `make build` has built. Usage: install.sh DESTDIR PREFIX
set -eu
cd "$(dirname "$0")/../.."
case "$2" in
  /*) ;;
  *) echo "dormouse: PREFIX must be an absolute path, not '$2'" >&2; exit 2 ;;
esac
root="$1$2"
build=.build/release

# The header is where the version stands.
part() { sed -n "s/^#define DORMOUSE_VERSION_$1 \([0-9]*\)$/\1/p" include/dormouse.h; }
major=$(part MAJOR)
version="$major.$(part MINOR).$(part PATCH)"

# What is put here is written down, for uninstall.sh: folders that were not there, and files. An older version's list
# stays part of it.
list="$root/share/dormouse/installed"
written=$(mktemp)
trap 'rm -f "$written"' EXIT
[ ! -f "$list" ] || cat "$list" >"$written"

folder() { # path below the root
  [ -d "$root/$1" ] && return
  case $1 in */*) folder "${1%/*}" ;; esac
  install -d "$root/$1"
  echo "$1/" >>"$written"
}
put() { # mode file path-below-the-root
  folder "$(dirname "$3")"
  install -m "$1" "$2" "$root/$3"
  echo "$3" >>"$written"
}
link() { # target path-below-the-root
  ln -sf "$1" "$root/$2"
  echo "$2" >>"$written"
}
if [ ! -d "$root" ]; then
  install -d "$root"
  echo "./" >>"$written"
fi

put 755 "$build/dormouse" bin/dormouse
put 644 "$build/libDormouse.so" "lib/libdormouse.so.$version"
# The core finds this one beside itself when it meets the first media file. Nobody links to it.
put 644 "$build/libdormouse_media.so" "lib/libdormouse_media.so.$version"
for file in bin/dormouse "lib/libdormouse.so.$version" "lib/libdormouse_media.so.$version"; do
  strip --strip-unneeded "$root/$file" 2>/dev/null || true
done
link "libdormouse.so.$version" "lib/libdormouse.so.$major"
link "libdormouse.so.$major" lib/libdormouse.so
link "libdormouse_media.so.$version" "lib/libdormouse_media.so.$major"
put 644 include/dormouse.h include/dormouse.h
put 644 docs/dormouse.1 share/man/man1/dormouse.1

filled=$(mktemp)
trap 'rm -f "$written" "$filled"' EXIT
fill() { # template path-below-the-root
  sed "s/@VERSION@/$version/g" "$1" >"$filled"
  put 644 "$filled" "$2"
}
fill bindings/c/dormouse.pc.in lib/pkgconfig/dormouse.pc
fill bindings/c/DormouseConfigVersion.cmake.in lib/cmake/Dormouse/DormouseConfigVersion.cmake
put 644 bindings/c/DormouseConfig.cmake lib/cmake/Dormouse/DormouseConfig.cmake

completion() { # shell path-below-the-root
  "$build/dormouse" --generate-completion-script "$1" >"$filled"
  put 644 "$filled" "$2"
}
completion bash share/bash-completion/completions/dormouse
completion zsh share/zsh/site-functions/_dormouse
completion fish share/fish/vendor_completions.d/dormouse.fish

folder share/dormouse
echo share/dormouse/installed >>"$written"
sort -u "$written" >"$filled"
install -m 644 "$filled" "$list"

# Only the real thing: a package's build has nothing to tell the linker of this system.
if [ -z "$1" ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null 2>&1; then
  case "$2" in /usr | /usr/local) ldconfig ;; esac
fi
echo "dormouse: $version is installed in $root"
