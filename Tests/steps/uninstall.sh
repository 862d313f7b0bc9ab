#!/bin/sh
# Removes what install.sh has put into a prefix, by the list that it left there, and nothing else. Usage: uninstall.sh
# DESTDIR PREFIX
set -eu
case "$2" in
  /*) ;;
  *) echo "dormouse: PREFIX must be an absolute path, not '$2'" >&2; exit 2 ;;
esac
root="$1$2"
list="$root/share/dormouse/installed"
if [ ! -f "$list" ]; then
  echo "dormouse: nothing to remove: there is no $list" >&2
  exit 1
fi
lines=$(cat "$list")

# A line that leads out of the prefix was written by somebody else.
if printf '%s\n' "$lines" | grep -qE '^/|(^|/)\.\.(/|$)'; then
  echo "dormouse: $list names paths outside of $root; nothing was removed" >&2
  exit 1
fi
printf '%s\n' "$lines" | grep -v '/$' | while IFS= read -r path; do
  rm -f "$root/$path"
done
# Folders that were made for it, the inner ones first, unless something else has come into them.
printf '%s\n' "$lines" | grep '/$' | grep -vx './' | sort -r | while IFS= read -r path; do
  rmdir "$root/$path" 2>/dev/null || true
done
if printf '%s\n' "$lines" | grep -qx './'; then rmdir "$root" 2>/dev/null || true; fi

if [ -z "$1" ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null 2>&1; then
  case "$2" in /usr | /usr/local) ldconfig ;; esac
fi
echo "dormouse: removed from $root"
