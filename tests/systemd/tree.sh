#!/bin/sh
# Make a clean Debian in .launchers/debian, once: no more than a small server with the launchers has.  About a minute.
# usage: tree.sh [FOLDER]       (as root; prints the folder)
set -eu

cache=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)/.launchers
tree=${1:-$cache/debian}
[ -e "$tree/.complete" ] && { echo "$tree"; exit 0; }
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\(http[^ ]*\) .*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1)
mkdir -p "$(dirname "$tree")"
work=$(mktemp -d "$tree.XXXXXX")
chmod 755 "$work"
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,rsyslog,xinetd,iproute2 \
    "$release" "$work" "${mirror:-http://deb.debian.org/debian}" > "$work.log" 2>&1 || { tail -5 "$work.log" >&2; exit 1; }
rm -rf "$work"/var/cache/apt/archives/*.deb "$work.log"
: > "$work/.complete"
mv -T "$work" "$tree" 2>/dev/null || rm -rf "$work"         # another copy of the suite was quicker
echo "$tree"
