#!/bin/sh
# Makes build/, or the folder $1: the application, its packages and their bytecode, for python3.13 on arm64.
# It needs pip install "lamella[local]", and a python3.13 on this machine for the bytecode.
set -eu
cd "$(dirname "$0")"
build=${1:-build}
rm -rf "$build"
python3 -m pip install --requirement app/requirements.txt --target "$build" --no-compile \
  --python-version 3.13 --implementation cp --only-binary=:all: --platform manylinux2014_aarch64
cp -R app/* "$build"
lamella compile "$build" --runtime python3.13 --no-measure
