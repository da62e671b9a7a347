#!/bin/sh
# Fetch what cannot be installed beside the rest, into .launchers/ (which git ignores): openbsd-inetd, whose package
# excludes xinetd's, and mail servers, each of whose packages excludes all others and starts a server.
# Needs Debian or Ubuntu, a network and no rights; does nothing when all is there.
set -eu

cache=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)/.launchers
mkdir -p "$cache"
echo '*' > "$cache/.gitignore"

# fetch PACKAGE PROGRAM: have $cache/PACKAGE, unpacked; two copies of us may run at once.
fetch() {
    [ -x "$cache/$1/$2" ] && return
    work=$(mktemp -d "$cache/.$1.XXXXXX")
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$1" && dpkg -x ./*.deb unpacked)
    mv -T "$work/unpacked" "$cache/$1" 2>/dev/null || [ -x "$cache/$1/$2" ]
    rm -r "$work"
}

# check PROGRAM: say which libraries it lacks.
check() {
    if ldd "$cache/$1" | grep 'not found'; then
        echo "fetch.sh: install the libraries above for $1" >&2
        exit 1
    fi
}

fetch openbsd-inetd usr/sbin/inetd
fetch postfix usr/sbin/smtp-sink
fetch opensmtpd usr/sbin/smtpd
check openbsd-inetd/usr/sbin/inetd
check opensmtpd/usr/sbin/smtpd
