#!/bin/sh
# A pipeline over JSON Lines: asks each line of stdin, writes {"question": ..., "answer": ..., "tokens": ...} for each.
#   printf 'What is 7 plus 5?\n' | ./ask.sh MODEL
set -eu
model=$1
dormouse=${DORMOUSE:-dormouse}

while IFS= read -r question; do
  # The last line of an answer holds it in one piece.
  "$dormouse" run "$model" --json -p "$question" </dev/null |
    python3 -c '
import json, sys
end = [json.loads(line) for line in sys.stdin][-1]
print(json.dumps({"question": sys.argv[1], "answer": end["answer"], "tokens": end["generated_tokens"]}, ensure_ascii=False))
' "$question"
done
