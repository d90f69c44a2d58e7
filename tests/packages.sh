#!/bin/sh
# Sees to it that there are a redis-server and libfaketime, from Debian's own packages where they are not.
set -eu
command -v redis-server && ls /usr/lib/*/faketime/libfaketimeMT.so.1 && exit
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends redis-server libfaketime
