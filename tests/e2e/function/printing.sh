#!/bin/sh
# An exec wrapper that sends what the function prints to files.
exec "$@" >"$PRINTED.out" 2>"$PRINTED.err"
