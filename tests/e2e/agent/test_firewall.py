"""The firewall's rules on a kernel: a host with its own rules, an app behind a bridge of ours, and a machine outside.

Each is a network namespace; iptables and its rules are real, and none of them touches this machine's own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.waiting import wait_until

SOURCE = Path(__file__).parents[3] / "src"
BRIDGE, APP, OUT, OUTSIDE = "10.208.0.1", "10.208.0.2", "198.51.100.1", "198.51.100.2"
METADATA = ("100.100.100.200", "168.63.129.16", "169.254.169.254")
ENSURE = """
import asyncio
from funai.agent.network.firewall import Firewall, Rules
asyncio.run(Firewall(Rules("ab12", "fuab12", "10.208.0.0/13")).ensure())
"""
SHARE = f"""
import asyncio, sys
from funai.agent.network.firewall import Firewall, Rules
firewall = Firewall(Rules("ab12", "fuab12x", "10.208.0.0/27", platform=("{OUTSIDE}",), peers=()))
async def share():
    await firewall.know_peers(sys.argv[1:])
    await firewall.ensure()
asyncio.run(share())
"""
PROBE = f"""
import sys
from funai.agent.network.probes import ask_resolver, reach
print(ask_resolver(int(sys.argv[1]), ("{BRIDGE}", 53), "app.dns.podman").value, reach("{APP}").value)
"""
SERVE = """
import socketserver, sys
class Tcp(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall(self.client_address[0].encode())
class Udp(socketserver.BaseRequestHandler):
    def handle(self): self.request[1].sendto(b"answer", self.client_address)
kind, handler = {"tcp": (socketserver.TCPServer, Tcp), "udp": (socketserver.UDPServer, Udp)}[sys.argv[1]]
kind.allow_reuse_address = True
kind((sys.argv[2], int(sys.argv[3])), handler).serve_forever()
"""
ASK = """
import socket, sys
kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[sys.argv[1]]
with socket.socket(socket.AF_INET, kind) as s:
    s.settimeout(2)
    try:
        s.connect((sys.argv[2], int(sys.argv[3])))
        if kind == socket.SOCK_DGRAM: s.send(b"?")
        print(s.recv(100).decode())
    except OSError as e:
        print(type(e).__name__)
"""


def run(*argv: str, check: bool = True) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=check, env={"PYTHONPATH": str(SOURCE)}).stdout.strip()


@dataclass(frozen=True)
class Lab:
    """Three namespaces; their names begin with ``tag``."""

    tag: str

    def at(self, place: str, *argv: str) -> str:
        return run("/usr/sbin/ip", "netns", "exec", f"{self.tag}-{place}", *argv)

    def python(self, place: str, code: str, *words: str) -> str:
        return self.at(place, sys.executable, "-c", code, *words)

    def iptables(self, *words: str) -> None:
        self.at("host", "/usr/sbin/iptables", "-w", *words)

    @contextmanager
    def serving(self, place: str, kind: str, address: str, port: int) -> Iterator[None]:
        """A server there, from the moment at which it answers inside its own namespace."""
        words = ("/usr/sbin/ip", "netns", "exec", f"{self.tag}-{place}", sys.executable, "-c", SERVE, kind, address, str(port))
        with subprocess.Popen(words) as server:
            try:
                wait_until(lambda: self.ask(place, kind, address, port) in (address, "answer"), what="the server answers")
                yield
            finally:
                server.kill()

    def ask(self, place: str, kind: str, address: str, port: int) -> str:
        """What came back: the address that the server saw (TCP), ``answer`` (UDP), or the error's name."""
        return self.python(place, ASK, kind, address, str(port))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(f"funai-{tmp_path.parent.name[-6:]}-{tmp_path.name[-4:]}")
    ip, names = "/usr/sbin/ip", [f"{lab.tag}-{place}" for place in ("host", "app", "out")]
    host, app, out = names
    try:
        for name in names:
            run(ip, "netns", "add", name)
            run(ip, "-n", name, "link", "set", "lo", "up")
        for ours, address, there, their, peer in (("fuab12x", BRIDGE, app, APP, "27"), ("uplink", OUT, out, OUTSIDE, "24")):
            run(ip, "-n", host, "link", "add", ours, "type", "veth", "peer", "eth0", "netns", there)
            for name, link, own in ((host, ours, address), (there, "eth0", their)):
                run(ip, "-n", name, "address", "add", f"{own}/{peer}", "dev", link)
                run(ip, "-n", name, "link", "set", link, "up")
        run(ip, "-n", app, "route", "add", "default", "via", BRIDGE)
        run(ip, "-n", host, "route", "add", "default", "via", OUTSIDE)
        for address in METADATA:
            run(ip, "-n", out, "address", "add", f"{address}/32", "dev", "lo")
        lab.at("host", "/usr/sbin/sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield lab
    finally:
        for name in names:
            run(ip, "netns", "delete", name, check=False)


def test_a_host_firewall_that_drops_leaves_dns_and_answers_to_apps(lab: Lab) -> None:
    for words in (
        ("-P", "INPUT", "DROP"),
        ("-A", "INPUT", "-i", "fu+", "-j", "DROP"),
        ("-A", "INPUT", "-i", "lo", "-j", "ACCEPT"),
    ):
        lab.iptables(*words)
    with lab.serving("host", "udp", BRIDGE, 53), lab.serving("app", "tcp", APP, 3000), lab.serving("host", "tcp", BRIDGE, 9000):
        assert lab.ask("app", "udp", BRIDGE, 53) == "TimeoutError"
        lab.python("host", ENSURE)
        assert lab.ask("app", "udp", BRIDGE, 53) == "answer"
        assert lab.ask("host", "tcp", APP, 3000) == BRIDGE
        assert lab.ask("app", "tcp", BRIDGE, 9000) == "ConnectionRefusedError"


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_refused(lab: Lab, address: str) -> None:
    lab.iptables("-t", "nat", "-A", "POSTROUTING", "-o", "uplink", "-j", "MASQUERADE")
    with lab.serving("out", "tcp", address, 80):
        assert lab.ask("app", "tcp", address, 80) == OUT
        lab.python("host", ENSURE)
        assert lab.ask("app", "tcp", address, 80) == "ConnectionRefusedError"


def test_a_flushed_table_is_put_back_and_apps_reach_the_outside_again(lab: Lab) -> None:
    lab.iptables("-P", "FORWARD", "DROP")
    with lab.serving("out", "tcp", OUTSIDE, 80):
        for table in ("nat", "filter"):
            lab.python("host", ENSURE)
            assert lab.ask("app", "tcp", OUTSIDE, 80) == OUT
            lab.iptables("-t", table, "-F")
        lab.iptables("-F", "FORWARD")
        assert lab.ask("app", "tcp", OUTSIDE, 80) == "TimeoutError"
        lab.python("host", ENSURE)
        assert lab.ask("app", "tcp", OUTSIDE, 80) == OUT


def test_probes_tell_a_missing_resolver_from_one_that_is_cut_off(lab: Lab) -> None:
    with lab.serving("app", "tcp", APP, 3000):
        pid = run("/usr/sbin/ip", "netns", "pids", f"{lab.tag}-app").split()[0]
        assert lab.python("host", PROBE, pid) == "refused refused"
        with lab.serving("host", "udp", BRIDGE, 53):
            assert lab.python("host", PROBE, pid) == "answer refused"
            lab.iptables("-A", "INPUT", "-i", "fu+", "-j", "DROP")
            assert lab.python("host", PROBE, pid) == "silence silence"


def test_shared_network_keeps_apps_but_not_the_proxy_in_it_from_host_and_platform(lab: Lab) -> None:
    lab.iptables("-t", "nat", "-A", "POSTROUTING", "-o", "uplink", "-j", "MASQUERADE")
    with (
        lab.serving("out", "tcp", OUTSIDE, 80),
        lab.serving("host", "tcp", BRIDGE, 9000),
        lab.serving("app", "tcp", APP, 3000),
    ):
        lab.python("host", SHARE)
        assert lab.ask("app", "tcp", OUTSIDE, 80) == "ConnectionRefusedError"
        assert lab.ask("app", "tcp", BRIDGE, 9000) == "ConnectionRefusedError"
        assert lab.ask("host", "tcp", APP, 3000) == BRIDGE
        lab.python("host", SHARE, APP)  # now it is the proxy's address
        assert lab.ask("app", "tcp", OUTSIDE, 80) == OUT
        assert lab.ask("app", "tcp", BRIDGE, 9000) == APP
