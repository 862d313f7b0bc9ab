#!/bin/sh
# Runs the Python and the shell examples. Usage: script-examples.sh PREFIX
set -eu
cd "$(dirname "$0")/../.."
model=examples/models/dormouse-tiny
omni=examples/models/dormouse-omni
media=examples/media
python=.build/test-venv/bin/python
export DORMOUSE="$1/bin/dormouse"

expect() { # words command...
  words=$1
  shift
  output=$("$@" </dev/null)
  case $output in
    *"$words"*) ;;
    *) echo "script-examples: $* says '$output', which has no '$words'" >&2; exit 1 ;;
  esac
}
question="What is 7 plus 5?"
expect "7 plus 5 is 12." "$python" examples/python/chat.py "$model" "$question"
expect "6 plus 6 is 12." "$python" examples/python/branches.py "$model"
expect "another session had computed 64" "$python" examples/python/branches.py "$model"
expect " %" "$python" examples/python/probabilities.py "$model" "$question"
expect "8 of 256 experts" "$python" examples/python/parts.py
expect "A purple heart moves up." "$python" examples/python/omni.py "$omni" "$media/moving.mp4" "What happens in the video?"
expect "我听到5 2 8。" "$python" examples/python/omni.py "$omni" "$media/digits.mp3" "你听到什么数字?"
expect '"answer": "7 plus 5 is 12."' sh -c 'printf "%s\n" "$2" | examples/shell/ask.sh "$1"' sh "$model" "$question"
expect "text:   $question" examples/shell/tokens.sh "$model" "$question"
expect "9 plus 4 is 13." examples/shell/chat.sh "$model"
echo "script-examples: all run"
