#!/bin/sh
# Asks the model that ships a question. Usage: demo.sh MODEL
set -eu
cd "$(dirname "$0")/../.."
question="What is 7 plus 5?"
echo "== dormouse run $1 -p \"$question\""
.build/release/dormouse run "$1" -p "$question"
echo "dormouse: it works; 'make test' runs every test, 'make install' installs"
