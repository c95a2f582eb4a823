#!/usr/bin/env bash
# Installs redis-server from the distribution where it can; says so where it cannot.
set -uo pipefail
command -v redis-server >/dev/null && exit 0
if ! command -v apt-get >/dev/null; then
  echo "redis-server is missing and there is no apt-get: install it yourself; its tests skip" >&2
  exit 0
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
if "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq redis-server >/dev/null; then
  exit 0
fi
echo "redis-server could not be installed (apt-get install redis-server as root); its tests skip" >&2
