"""What the kernel tells about this machine in files: load, memory, mounted disks, own addresses (proc(5)).

`proc` is where /proc is; a launcher may have hidden all of it but what processes see of themselves.
"""

import os

OF_DISKS = b"/dev/"             # how sources of mounts begin that are disks
BLANKS = ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\"))      # in mounts, getmntent(3)


def load(proc: str = "/proc") -> list[float]:
    """How many processes ran or waited to run in the last 1, 5 and 15 minutes.  Raises OSError."""
    with open(f"{proc}/loadavg", encoding="ascii") as file:
        return [float(word) for word in file.read().split()[:3]]


def memory(proc: str = "/proc") -> dict[str, int]:
    """The rows of meminfo, in KiB.  Raises OSError."""
    with open(f"{proc}/meminfo", encoding="ascii", errors="replace") as file:
        rows = [line.partition(":")[::2] for line in file]
    return {name: int(value.split()[0]) for name, value in rows if value.strip()[:1].isdigit()}


def mounts(proc: str = "/proc") -> list[str]:
    """Where disks are mounted, each disk once, and the root, whatever that is on.  Raises OSError."""
    found, disks = ["/"], {os.stat("/").st_dev}
    with open(f"{proc}/self/mounts", "rb") as file:
        rows = [line.split(b" ") for line in file]
    for source, where, *_ in rows:
        if source.startswith(OF_DISKS):
            path = os.fsdecode(_unescaped(where))
            disk = _device(path)
            if disk is not None and disk not in disks and os.path.isdir(path):
                disks.add(disk)
                found.append(path)
    return found


def addresses(net: str = "/proc/self/net") -> list[str]:
    """The addresses that this machine has on its networks, IPv4 first; those of itself alone are left out."""
    return [*_ipv4(f"{net}/fib_trie"), *_ipv6(f"{net}/if_inet6")]


def _ipv4(path: str) -> list[str]:
    """From the table of routes, where an address of ours stands above `/32 host LOCAL`."""
    found: dict[str, None] = {}
    leaf = ""
    for line in _lines(path):
        if line.startswith("|-- "):
            leaf = line[4:]
        elif line == "/32 host LOCAL" and not leaf.startswith("127."):
            found[leaf] = None
    return list(found)


def _ipv6(path: str) -> list[str]:
    """From the list of addresses: 32 hex digits, then number, prefix, scope, flags and the interface's name."""
    from ipaddress import IPv6Address
    found = []
    for row in map(str.split, _lines(path)):
        if len(row) == 6:
            address, name = IPv6Address(int(row[0], 16)), row[5]
            if not address.is_loopback:
                found.append(f"{address}%{name}" if address.is_link_local else str(address))
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return [line.strip() for line in file]
    except OSError:                     # a kernel without this kind of address
        return []


def _unescaped(path: bytes) -> bytes:
    for written, meant in BLANKS:
        path = path.replace(written, meant)
    return path


def _device(path: str) -> int | None:
    try:
        return os.stat(path).st_dev
    except OSError:                     # not for us to see
        return None
