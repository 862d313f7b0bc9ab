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

install -d "$root/bin" "$root/lib/pkgconfig" "$root/lib/cmake/Dormouse" "$root/include"
install -m 755 "$build/dormouse" "$root/bin/dormouse"
install -m 644 "$build/libDormouse.so" "$root/lib/libdormouse.so.$version"
# The core finds this one beside itself when it meets the first media file. Nobody links to it.
install -m 644 "$build/libdormouse_media.so" "$root/lib/libdormouse_media.so.$version"
for file in "$root/bin/dormouse" "$root/lib/libdormouse.so.$version" "$root/lib/libdormouse_media.so.$version"; do
  strip --strip-unneeded "$file" 2>/dev/null || true
done
ln -sf "libdormouse.so.$version" "$root/lib/libdormouse.so.$major"
ln -sf "libdormouse.so.$major" "$root/lib/libdormouse.so"
ln -sf "libdormouse_media.so.$version" "$root/lib/libdormouse_media.so.$major"
install -m 644 include/dormouse.h "$root/include/dormouse.h"

fill() { sed "s/@VERSION@/$version/g" "$1" >"$2"; chmod 644 "$2"; }
fill bindings/c/dormouse.pc.in "$root/lib/pkgconfig/dormouse.pc"
fill bindings/c/DormouseConfigVersion.cmake.in "$root/lib/cmake/Dormouse/DormouseConfigVersion.cmake"
install -m 644 bindings/c/DormouseConfig.cmake "$root/lib/cmake/Dormouse/DormouseConfig.cmake"

completion() {
  install -d "$(dirname "$root/share/$2")"
  "$build/dormouse" --generate-completion-script "$1" >"$root/share/$2"
}
completion bash bash-completion/completions/dormouse
completion zsh zsh/site-functions/_dormouse
completion fish fish/vendor_completions.d/dormouse.fish

# Only the real thing: a package's build has nothing to tell the linker of this system.
if [ -z "$1" ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null 2>&1; then
  case "$2" in /usr | /usr/local) ldconfig ;; esac
fi
echo "dormouse: $version is installed in $root"
