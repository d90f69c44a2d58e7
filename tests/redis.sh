#!/bin/sh
# Sees to it that there is a redis-server, from Debian's own packages where there is none.
set -eu
command -v redis-server && exit
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends redis-server
