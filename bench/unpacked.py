"""Postfix and OpenSMTPD as tests/live/fetch.sh unpacks them, and what they need to run without being installed.

They exclude each other, want users that only their packages make, and OpenSMTPD has the names of its folders built in.
So each runs in a mount namespace with users and folders of its own, which takes root.
"""

import os

OWNER = 64005           # of their Maildirs; nobody else
USERS = "".join(f"{name}:x:{number}:{number}::/:/bin/false\n" for name, number in (
    ("postfix", 64001), ("opensmtpd", 64002), ("opensmtpq", 64003), ("keeper", OWNER)))
GROUPS = "".join(f"{name}:x:{number}:\n" for name, number in (
    ("postfix", 64001), ("opensmtpd", 64002), ("opensmtpq", 64003), ("postdrop", 64004), ("keeper", OWNER)))

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {unpacked}/usr/lib/postfix/sbin
command_directory = {unpacked}/usr/sbin
import_environment = MAIL_CONFIG LD_LIBRARY_PATH LIVE_TEST_MARK
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = postfix.test
mydestination =
alias_maps =
alias_database =
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtp_host_lookup = native
"""
# mail for this domain, whoever it is for, into the Maildir
KEEPING = f"""
virtual_mailbox_domains = {{domain}}
virtual_mailbox_base = {{folder}}
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{OWNER}
virtual_gid_maps = static:{OWNER}
"""
SERVICES = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n {every} 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
QUEUES = "active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace".split()


def libraries(place):
    """Variables with which Postfix's programs find their libraries."""
    return {"LD_LIBRARY_PATH": f"{place}/usr/lib/postfix"}


def house(folder):
    """Files and folders that every one of them has: users, groups, and a Maildir `box`."""
    for name, more in (("passwd", USERS), ("group", GROUPS)):
        with open(f"/etc/{name}") as there, open(f"{folder}/{name}", "w") as file:
            file.write(there.read() + more)
    for name in ("box", "box/tmp", "box/new", "box/cur"):
        os.mkdir(f"{folder}/{name}")
        os.chown(f"{folder}/{name}", OWNER, OWNER)


def postfix(folder, port, every):
    """Postfix's folders and master.cf, with `every` seconds between looks at mail; its main.cf is MAIN and more."""
    for name in ("data", "queue", *(f"queue/{each}" for each in QUEUES)):
        os.mkdir(f"{folder}/{name}")
        os.chown(f"{folder}/{name}", *(0, 0) if name in ("queue", "queue/pid") else (64001, 0))
    for name, mode in (("maildrop", 0o730), ("public", 0o710)):
        os.chown(f"{folder}/queue/{name}", 64001, 64004)
        os.chmod(f"{folder}/queue/{name}", mode)
    with open(f"{folder}/master.cf", "w") as file:
        file.write(SERVICES.format(port=port, every=every))


def opensmtpd(folder, place):
    """Commands that give OpenSMTPD the folders whose names are built in; its queue stays on the disk of `folder`."""
    os.makedirs(f"{folder}/spool/smtpd", 0o711)
    os.chmod(f"{folder}/spool", 0o755)
    return [f"mount --bind {folder}/spool /var/spool", "mount -t tmpfs none /var/lib",
            "mount -t tmpfs -o mode=755 none /run", "mkdir -p -m 755 /var/lib/opensmtpd/empty",
            f"mount --bind {place}/usr/libexec /usr/libexec", f"mount --bind {place}/usr/sbin /usr/sbin"]


def command(folder, words, mounts=()):
    """What starts this command line in such a namespace."""
    mounts = [*mounts, *(f"mount --bind {folder}/{name} /etc/{name}" for name in ("passwd", "group"))]
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", " && ".join([*mounts, f"exec {words}"])]
