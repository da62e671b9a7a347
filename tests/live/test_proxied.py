"""Our programs behind a real HAProxy, and before people who only say that they are one."""

import re
import socket
import time

import pytest

from daemons.kernel.proxyheader import DGRAM, Header, block, line
from tests.live import clients, devlog, installed, machine
from tests.live.haproxy import HAProxy
from tests.live.launchers import NOWAIT, WAIT, ByHand, OurInetd, Service, Xinetd

MODELS = ("one", "fork", "thread")
CLIENT, STRANGER = "127.0.0.9", "127.0.0.8"
SENDS = {"v1": "send-proxy", "v2": "send-proxy-v2", "crc32c": "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl",
         "ssl-cn": "send-proxy-v2-ssl-cn proxy-v2-options crc32c,cert-cn,cert-key,cert-sig,ssl-cipher,authority"}
PROXIES = "--proxy-protocol=127.0.0.1"
FORGED = line(Header(1, ("127.0.0.9", 1), ("127.0.0.1", 2)))


@pytest.fixture
def log():
    with devlog.LogSocket() as socket_:
        yield socket_


def by_hand(log, *options, name="echod", kind="stream", host="127.0.0.1"):
    """A program that binds its own port."""
    return ByHand(Service(installed.argv(name, f"--log={log.path}", *options), kind, WAIT, host))


def launched(launcher, log, *options, wait=NOWAIT, name="echod"):
    """A program that a launcher starts."""
    return launcher(Service(installed.argv(name, f"--log={log.path}", *options), wait=wait))


def proxied(log, count=1):
    """The nth `proxied` line as a dictionary."""
    return facts(log.wait_for(r"\bproxied session=", count=count).text)


def facts(text):
    return {key: value.strip('"') for key, value in re.findall(r'(\w+)=("[^"]*"|\S+)', text)}


def echoed(proxy, source, data=b"hello"):
    """What echod sends back to somebody who calls the proxy from this address; TLS knows no half-close."""
    with proxy.call(source) as sock:
        if not proxy.tls:
            return clients.exchange(sock, data)
        sock.sendall(data)
        return sock.recv(len(data))


def end_of(log, session):
    """How a conversation ended."""
    return facts(log.wait_for(rf"\bclose session={session} ").text)


def check_told(log, proxy, host, version, count=1):
    """The log says that a client called the proxy, and the conversation was his."""
    told = proxied(log, count)
    assert re.fullmatch(rf"\[{host}\]:\d+", told["from"]) and told["by"].startswith("[127.0.0.1]:")
    assert (told["to"], told["version"]) == (f"[{proxy.address[0]}]:{proxy.address[1]}", version)
    end = end_of(log, told["session"])
    assert (end["in"], end["out"]) == ("5", "5")


@pytest.mark.parametrize("send", SENDS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_sees_the_client_behind_haproxy(log, model, send):
    with by_hand(log, f"--model={model}", PROXIES) as host, \
            HAProxy(host.address, SENDS[send], tls=send == "ssl-cn") as proxy:
        for count in (1, 2):
            assert echoed(proxy, CLIENT) == b"hello"
            check_told(log, proxy, CLIENT, "1" if send == "v1" else "2", count)
    assert not any(" refused " in text or " crash " in text for text in log.lines)


@pytest.mark.parametrize("send", ["v1", "crc32c"])
@pytest.mark.parametrize("launcher, wait", [(Xinetd, NOWAIT), (Xinetd, WAIT), (OurInetd, NOWAIT)])
def test_launched_programs_see_the_client_behind_haproxy(log, launcher, wait, send):
    with launched(launcher, log, PROXIES, f"--only-from={CLIENT}", wait=wait) as host, \
            HAProxy(host.address, SENDS[send]) as proxy:
        assert echoed(proxy, CLIENT) == b"hello"
        check_told(log, proxy, CLIENT, "1" if send == "v1" else "2")
        assert echoed(proxy, STRANGER) == b""
        assert facts(log.wait_for(r"\brefused ").text)["from"].startswith(f"[{STRANGER}]:")


def test_ipv6_clients_of_a_proxy_that_comes_over_ipv4(log):
    machine.need_ipv6()
    for send in ("v1", "v2"):
        with by_hand(log, PROXIES) as host, HAProxy(host.address, SENDS[send], host="::1") as proxy:
            assert echoed(proxy, "::1") == b"hello"
            check_told(log, proxy, "::1", send[1], 1 if send == "v1" else 2)


def test_haproxy_over_a_unix_socket(log):
    with by_hand(log, "--proxy-protocol=unix", f"--only-from={CLIENT}", kind="unix") as host, \
            HAProxy(host.address, "send-proxy-v2") as proxy:
        assert (echoed(proxy, CLIENT), echoed(proxy, STRANGER)) == (b"hello", b"")
        told = proxied(log)
        assert told["from"].startswith(f"[{CLIENT}]:") and told["by"].startswith("unix:")
        assert clients.converse(host.address, b"no header\r\n") == b""
        assert facts(log.wait_for(r"\brefused .*why=\"no PROXY").text)["from"].startswith("unix:")


@pytest.mark.parametrize("model", MODELS)
def test_health_checks_are_the_proxys_own(log, model):
    with by_hand(log, f"--model={model}", PROXIES) as host, \
            HAProxy(host.address, "send-proxy-v2 check-send-proxy proxy-v2-options crc32c", check="alive") as proxy:
        machine.until(lambda: proxy.health() == ("UP", "L7OK") or None, what="health")
        sessions = [facts(log.wait_for(r"\bopen ", count=count).text) for count in (1, 2, 3)]
        assert all(one["from"].startswith("[127.0.0.1]:") for one in sessions)
        assert end_of(log, sessions[0]["session"])["in"] == "5"
        assert echoed(proxy, CLIENT) == b"hello"
        check_told(log, proxy, CLIENT, "2")
    refused = [text for text in log.lines if " refused " in text]
    assert not refused and sum(" proxied " in text for text in log.lines) == 1


@pytest.mark.parametrize("model", MODELS)
def test_rules_and_limits_are_those_of_the_client(log, model):
    rules = f"--no-access={STRANGER}", "--per-source=1"
    with by_hand(log, f"--model={model}", PROXIES, *rules, name="probed") as host, \
            HAProxy(host.address, "send-proxy-v2") as proxy:
        assert clients.exchange(proxy.call(STRANGER)) == b""
        assert facts(log.wait_for(r"\brefused ").text)["why"] == "no-access"
        if model == "one":              # there is never a second
            return
        with proxy.call(CLIENT) as first, proxy.call("127.0.0.7") as other:
            for sock in (first, other):
                sock.sendall(b"says hello\r\n")
                assert sock.recv(100) == b"200 done\r\n"
            # a client that ends before HAProxy has called us is not passed on at all
            assert clients.exchange(proxy.call(CLIENT), half_close=False) == b"421 not now\r\n", "\n".join(log.lines)
            refused = facts(log.wait_for(r"\brefused ", count=2).text)
            assert refused["why"] == "per-source" and refused["from"].startswith(f"[{CLIENT}]:")
            first.sendall(b"quit\r\n")
            assert first.recv(100) == b""
        log.wait_for(r"\bclose .*reason=quit")
        assert clients.exchange(proxy.call(CLIENT), b"quit\r\n", half_close=False) == b""
        log.wait_for(r"\bclose .*reason=quit", count=2)


@pytest.mark.parametrize("launcher, wait", [(Xinetd, NOWAIT), (ByHand, WAIT)])
def test_a_forged_header_is_not_believed(log, launcher, wait):
    with launched(launcher, log, PROXIES, "--only-from=127.0.0.9", wait=wait) as host:
        for data in (FORGED, block(Header(2, ("127.0.0.9", 1), ("127.0.0.1", 2))), b""):
            assert said_to(host.address, data + b"hello", "127.0.0.66") == b""
        refused = facts(log.wait_for(r"\brefused ").text)
        assert refused["from"].startswith("[127.0.0.66]:") and refused["why"] == "proxy-network"
    assert not any(" proxied " in text or "127.0.0.9" in text for text in log.lines)


def said_to(address, data, source):
    """What is answered to these octets: b"" where the connection is ended without a word, or torn down."""
    try:
        return clients.converse(address, data, source=source)
    except (ConnectionResetError, BrokenPipeError):
        return b""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("data, why", [
    (b"hello\r\n", "no PROXY header"), (b"PROXY " + b"x" * 200, "a line over 107 octets"),
    (block(Header(2))[:14] + b"\xff\xff" + bytes(70000), "65551 octets, of which we take 4096"),
    (FORGED[:-5], "cut short")])
def test_a_proxy_without_a_right_header_gets_no_word(log, model, data, why):
    with by_hand(log, f"--model={model}", PROXIES, name="daytimed") as host:
        assert said_to(host.address, data, "127.0.0.1") == b""
        assert f'reason=proxy why="{why}"' in log.wait_for(r"\bclose ").text
        assert clients.converse(host.address, FORGED)           # and the next is served


@pytest.mark.parametrize("header", [FORGED, block(Header(2, ("127.0.0.9", 1), ("127.0.0.1", 2)), checksum=True)],
                         ids=["v1", "v2"])
@pytest.mark.parametrize("launcher, wait", [(Xinetd, NOWAIT), (ByHand, WAIT)])
def test_a_header_may_come_octet_by_octet(log, header, launcher, wait):
    with launched(launcher, log, PROXIES, wait=wait) as host:
        assert clients.drip(host.address, header + b"hello") == b"hello"
        assert proxied(log)["from"] == "[127.0.0.9]:1"


@pytest.mark.parametrize("model", MODELS)
def test_who_is_slow_with_the_header_has_one_deadline_for_all_of_it(log, model):
    with by_hand(log, f"--model={model}", PROXIES, "--timeout=0.5") as host, \
            clients.connect(host.address) as silent:
        silent.sendall(FORGED[:10])
        assert silent.recv(100) == b"" and 'reason=proxy why="too late"' in log.wait_for(r"\bclose ").text


def test_a_client_of_a_fork_that_is_told_to_stop_while_it_waits_for_the_header(log):
    with by_hand(log, "--model=fork", PROXIES, "--grace=0") as host, clients.connect(host.address) as silent:
        log.wait_for(r"\bopen ")
        host._processes.first.terminate()
        assert silent.recv(100) == b""
        assert host.wait() == 0


@pytest.mark.parametrize("name, asked, answer", [("echod", b"hello", rb"hello\Z"),
                                                 ("daytimed", b"", rb"[A-Z].*\r\n\Z")])
def test_datagrams_behind_a_proxy(log, name, asked, answer):
    with by_hand(log, PROXIES, "--no-access=192.0.2.8", name=name, kind="dgram") as host:
        def ask(client, seconds=30):
            header = block(Header(2, (client, 5353), ("198.51.100.1", 53)), DGRAM, checksum=True)
            return clients.ask(host.address, header + asked, source="127.0.0.1", seconds=seconds)
        assert re.match(answer, ask("192.0.2.7"))
        told = facts(log.wait_for(r"\bpacket ").text)
        assert (told["from"], told["to"]) == ("[192.0.2.7]:5353", "[198.51.100.1]:53")
        assert told["by"].startswith("[127.0.0.1]:")
        with pytest.raises(TimeoutError):
            ask("192.0.2.8", 1)
        assert facts(log.wait_for(r"\brefused ").text)["why"] == "no-access"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.66", 0))
            stranger.sendto(block(Header(2, ("192.0.2.7", 5353), ("198.51.100.1", 53)), DGRAM), host.address)
            assert facts(log.wait_for(r"\brefused ", count=2).text)["why"] == "proxy-network"
        assert re.match(answer, ask("192.0.2.7"))


# Access without a proxy.

def hours(first, last):
    """A window from so many hours to so many hours from now."""
    at = [time.strftime("%H:%M", time.localtime(time.time() + 3600 * hour)) for hour in (first, last)]
    return f"--access-times={at[0]}-{at[1]}"


@pytest.mark.parametrize("launcher, wait", [(Xinetd, NOWAIT), (Xinetd, WAIT), (ByHand, WAIT)])
@pytest.mark.parametrize("window, heard", [((-1, 1), b"hello"), ((1, 3), b""), ((1, -1), b"")])
def test_times_hold_under_every_launcher(log, launcher, wait, window, heard):
    with launched(launcher, log, hours(*window), wait=wait) as host:
        assert said_to(host.address, b"hello", None) == heard
        if not heard:
            assert facts(log.wait_for(r"\brefused ").text)["why"] == "access-times"


@pytest.mark.parametrize("model", MODELS)
def test_a_flood_from_outside_costs_no_process_and_one_line(log, model):
    with by_hand(log, f"--model={model}", "--only-from=127.0.0.1") as host:
        for _ in range(50):
            assert said_to(host.address, b"hello", "127.0.0.66") == b""
        assert clients.converse(host.address, b"hello") == b"hello"
        log.wait_for(r"\bclose ")
    assert sum(" refused " in text for text in log.lines) == 1 and sum(" open " in text for text in log.lines) == 1


def test_explain_tells_who_may_come_in(log):
    options = [PROXIES, "--only-from=192.0.2.0/24,.example.org", "--no-access=192.0.2.7", "--access-times=00:00-24:00"]
    with launched(Xinetd, log, "--explain", *options) as host:
        said_to(host.address, b"", None)
        told = {word: log.wait_for(rf"explain what={word} ").text.partition(" is=")[2]
                for word in ("welcome", "unwelcome", "times", "proxies")}
    assert told["welcome"] == '"192.0.2.0/24 .example.org"' and told["unwelcome"] == "192.0.2.7/32"
    assert re.fullmatch(r'"00:00-24:00, local time; it is \d\d:\d\d now, which is within"', told["times"])
    assert told["proxies"] == '"a PROXY header must come first from 127.0.0.1/32; nobody else is heard"'
