#!/bin/sh
# The command line alone: a text to token ids, the logits after each of them to a file, the ids back to the text.
#   ./tokens.sh MODEL "What is 7 plus 5?"
set -eu
model=$1
text=$2
dormouse=${DORMOUSE:-dormouse}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

printf '%s' "$text" | "$dormouse" tokenize "$model" --add-special --json >"$folder/ids.json"
printf 'ids:    '
cat "$folder/ids.json"
"$dormouse" logits "$model" --ids "$folder/ids.json" --output "$folder/logits.safetensors"
printf 'file:   %s bytes\n' "$(wc -c <"$folder/logits.safetensors" | tr -d ' ')"
printf 'text:   '
"$dormouse" tokenize "$model" --decode --skip-special <"$folder/ids.json"
echo
