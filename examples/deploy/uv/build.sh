#!/bin/sh
# Makes build/, the function's folder: the application and its locked packages with bytecode, for python3.13 on arm64.
set -eu
cd "$(dirname "$0")"
rm -rf build
uv export --frozen --no-dev --no-emit-project --no-editable --quiet --output-file requirements.txt
uv pip install --requirement requirements.txt --target build --no-compile-bytecode \
  --python-version 3.13 --python-platform aarch64-manylinux2014 --only-binary :all:
cp main.py build/
uv run --frozen lamella compile build --runtime python3.13 --no-measure
