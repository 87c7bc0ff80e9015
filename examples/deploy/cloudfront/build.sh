#!/bin/sh
# Makes build/, the function's folder: the application and its packages, for python3.13 on arm64.
set -eu
cd "$(dirname "$0")"
rm -rf build
python3 -m pip install --requirement app/requirements.txt --target build --no-compile \
  --python-version 3.13 --implementation cp --only-binary=:all: --platform manylinux2014_aarch64
cp -R app/* build/
