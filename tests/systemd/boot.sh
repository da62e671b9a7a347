#!/bin/sh
# Become a systemd of its own: PID 1 of a container whose root is an overlay on TREE, all writes in memory.
# usage: boot.sh NAME FOLDER TREE GROUP... -- NSPAWN-OPTION...     (in a mount namespace of our own, as root)
#
# The guard: a systemd that starts in the machine's root cgroup moves every process of the machine into its own scope,
# and where it sees the v1 controllers it does so in these too.  So: only below GROUPs made for it, and only once
# the kernel itself says that we are there.
set -eu
name=$1 folder=$2 tree=$3
shift 3
while [ "$1" != -- ]; do
    mkdir -p "$1"
    echo $$ > "$1/cgroup.procs"
    shift
done
shift
grep -qx "0::/$name" /proc/self/cgroup || { echo "cgroup guard: not in /$name, no systemd is started" >&2; exit 1; }

mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
root=$folder/root units=$folder/root/etc/systemd/system
# nothing that is switched on here starts there, what is installed can be started; /run and /tmp are in memory
rm -rf "$units" "$root/usr/sbin/policy-rc.d"          # the latter would keep packages from starting anything
mkdir -p "$units"
ln -s /lib/systemd/system/rsyslog.service "$units/syslog.service"       # the alias by which syslog.socket starts it
for unit in systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer \
        man-db.timer dpkg-db-backup.timer logrotate.timer console-getty.service; do
    ln -s /dev/null "$units/$unit"
done
# without bpf, IPAddressDeny= would have no effect and say nothing about it
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn -q -D "$root" -b -M "$name" --register=no --keep-unit \
    --private-network --link-journal=no --console=pipe --resolv-conf=off --timezone=off \
    --system-call-filter='bpf @keyring landlock_create_ruleset landlock_add_rule landlock_restrict_self' "$@" -- systemd.unit=basic.target systemd.log_target=journal
