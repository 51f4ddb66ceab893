"""What the kernel's table of UDP sockets says about the apps' resolvers."""

from __future__ import annotations

import socket

import pytest

from funai.agent.network.look import ANY, blocked_problem, bound, resolver_problem, silent_bridges
from funai.agent.network.networks import bridge_of
from funai.base.process import ports

TABLE = """   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  10: 0100D00A:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 111 2 0 0
  11: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 112 2 0 0
  12: 0100007F:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 113 2 0 0
"""


def test_addresses_at_which_a_port_is_bound() -> None:
    assert bound(TABLE, 53) == {"10.208.0.1", ANY}
    assert bound("", 53) == set()


def test_a_bridge_without_a_resolver_is_found() -> None:
    assert bridge_of("10.208.0.45") == "10.208.0.33"
    assert silent_bridges(["10.208.0.2", "10.208.0.45", ""], {"10.208.0.1"}) == ["10.208.0.33"]
    assert silent_bridges(["10.208.0.2"], {"10.208.0.1"}) == []


def test_who_holds_the_port_is_named() -> None:
    assert "held by dnsmasq (pid 7) on all addresses" in resolver_problem("10.208.0.1", "dnsmasq (pid 7)", False).en
    assert "aardvark-dns is not running" in resolver_problem("10.208.0.1", None, False).en


@pytest.mark.parametrize(("instead", "said"), [(True, "own DNS servers meanwhile"), (False, "lookups take 5 s")])
def test_what_becomes_of_lookups_meanwhile_is_said(instead: bool, said: str) -> None:
    assert said in resolver_problem("10.208.0.1", None, instead).en
    assert said in blocked_problem("10.208.0.1", instead).en


def test_a_udp_port_on_all_addresses_has_a_holder_and_one_on_loopback_none() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as everywhere,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
    ):
        everywhere.bind(("0.0.0.0", 0))
        here.bind(("127.0.0.1", 0))
        assert "(pid " in str(ports.udp_holder(everywhere.getsockname()[1]))
        assert ports.udp_holder(here.getsockname()[1]) is None
