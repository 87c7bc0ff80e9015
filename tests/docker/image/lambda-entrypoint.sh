#!/bin/sh
# On a laptop a base image starts under the emulator. The one argument names the handler.
export _HANDLER="$1"
exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
