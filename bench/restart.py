"""Restarts and upgrades under load: how many connections are tried, and how many fail?

    python3 -m bench.restart [--rounds=N] [--restarts=N]

As root: it boots a systemd of its own (tests/systemd/container.py) with the Debian package of this checkout.  The bar:
no connection fails.  The peer is xinetd with its own echo, restarted by the same systemctl under the same load; a
caller who was refused calls again at once, so that its figure counts the time in which nobody listens.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.systemd.container import Container
from tests.systemd.load import Load
from tests.systemd.package import build, renumbered

XINETD_PORT = 7007
XINETD = f"""\
service echo
{{
    type = INTERNAL UNLISTED
    id = bench-echo
    port = {XINETD_PORT}
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    cps = 100000 1
    instances = UNLIMITED
}}
"""
WORK = {"restart of echod (threads)": (("echod",), "restart"), "restart of fingerd (forks)": (("fingerd",), "restart"),
        "upgrade of the package": (("echod", "fingerd"), "upgrade"),
        "restart of xinetd (peer)": (("xinetd",), "restart")}
PLACES = {"echod": (7, b"hello", b"^hello$"), "fingerd": (79, b"nobody-here\r\n", b"No such user"),
          "xinetd": (XINETD_PORT, b"hello", b"^hello$")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=20, help="in a round; upgrades are a tenth of them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        package = build(Path(folder))
        later = renumbered(package, Path(folder))
        binds = [f"--bind-ro={package}:/root/0.deb", f"--bind-ro={later}:/root/1.deb"]
        box = stack.enter_context(Container(options=binds))
        prepare(box)
        results = {name: [] for name in WORK}
        for _ in range(options.rounds):
            for name, (programs, how) in WORK.items():
                results[name].append(one_round(box, programs, how, options.restarts))
    print(f"{'':28}{'tried':>8}{'failed':>8}   of 1000")
    for name, rounds in results.items():
        tried, failed = sum(one[0] for one in rounds), sum(one[1] for one in rounds)
        print(f"{name:28}{tried:8}{failed:8}   {median(1000 * bad / all_ for all_, bad in rounds):7.1f}")


def prepare(box):
    """Install what is restarted."""
    (box.root / "etc/xinetd.d/bench").write_text(XINETD)
    box.run("dpkg", "--install", "/root/0.deb")
    box.run("systemctl", "start", "xinetd", "fd0-echod.socket", "fd0-fingerd.socket")


def one_round(box, programs, how, restarts):
    """(tried, failed) connections of a round."""
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(box, *PLACES[name], strict=False)) for name in programs]
        for number in range(restarts if how == "restart" else max(2, restarts // 10)):
            if how == "restart":
                unit = f"{'' if programs == ('xinetd',) else 'fd0-'}{programs[0]}.service"
                box.run("systemctl", "reset-failed", unit)      # xinetd's own unit may start five times in ten seconds
                box.run("systemctl", "restart", unit)
            else:
                box.run("dpkg", "--force-downgrade", "--install", f"/root/{(number + 1) % 2}.deb")
            for load in loads:
                load.more(10)
    return sum(load.answered + len(load.failures) for load in loads), sum(len(load.failures) for load in loads)


if __name__ == "__main__":
    main()
