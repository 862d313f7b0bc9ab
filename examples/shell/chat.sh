#!/bin/sh
# A chat from a file of messages, with what the model was and what it took on stderr.
#   ./chat.sh MODEL
set -eu
dormouse=${DORMOUSE:-dormouse}
"$dormouse" info "$1" | sed -n 's/^\(architecture\|parameters\|experts\|cache\) .*/&/p' >&2
"$dormouse" run "$1" --messages - --max-tokens 60 --temperature 0 <<'MESSAGES'
[
  {"role": "user", "content": "What is 7 plus 5?"},
  {"role": "assistant", "content": "7 plus 5 is 12."},
  {"role": "user", "content": "What is 9 plus 4?"}
]
MESSAGES
