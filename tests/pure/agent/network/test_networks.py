"""Names, subnets and addresses of the apps' networks."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from funai.agent.engine.contract import NetworkSpec
from funai.agent.engine.dummy import DummyEngine
from funai.agent.network import networks as network
from funai.agent.workload.contract import AppView

POOL = IPv4Network("10.208.0.0/13")
ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000D00A	00000000	0001	0	0	0	0000FFFF	0	0	0
"""


@given(st.integers(min_value=1, max_value=2**63 - 1), st.text(max_size=16), st.text(max_size=40))
def test_bridge_names_fit_the_kernel_and_begin_with_the_platforms_prefix(app_id: int, instance: str, root: str) -> None:
    tag = network.platform_tag(instance, root)
    name = network.bridge_name(tag, app_id)
    assert len(name) <= 15
    assert name.startswith(network.bridge_prefix(tag))
    assert name.isalnum()


def test_platforms_on_one_host_have_different_bridges() -> None:
    assert network.platform_tag("", "/a") != network.platform_tag("", "/b") != network.platform_tag("x", "/b")


def test_taken_subnets_are_left_out() -> None:
    taken = [IPv4Network("10.208.0.0/14"), IPv4Network("192.0.2.0/24")]
    found = list(network.candidate_subnets(POOL, "t", 7, taken))
    assert len(found) == 8192
    assert not any(s.overlaps(t) for s in found for t in taken)


def test_a_small_pool_is_used_up_exactly() -> None:
    pool = IPv4Network("10.208.0.0/26")
    assert sorted(network.candidate_subnets(pool, "t", 7, [])) == list(pool.subnets(new_prefix=27))


def test_addresses_begin_after_the_bridge_and_end() -> None:
    assert network.free_address("10.208.0.0/27", []) == "10.208.0.2"
    assert network.free_address("10.208.0.0/27", ["10.208.0.2", ""]) == "10.208.0.3"
    assert network.free_address("10.208.0.0/30", ["10.208.0.2"]) == ""


def test_addresses_go_round_so_that_none_is_reused_soon() -> None:
    assert network.free_address("10.208.0.0/29", ["10.208.0.3"], after="10.208.0.2") == "10.208.0.4"
    assert network.free_address("10.208.0.0/29", [], after="10.208.0.6") == "10.208.0.2"
    assert network.free_address("10.208.0.0/29", [], after="10.99.0.1") == "10.208.0.2"


def test_the_hosts_routes_are_taken() -> None:
    assert network.routed(ROUTES) == [IPv4Network("192.0.2.0/24"), IPv4Network("10.208.0.0/16")]
    assert network.routed("") == []


async def test_the_wall_hears_of_each_network_from_its_first_moment_to_its_last() -> None:
    engine, heard = DummyEngine(), list[list[str]]()

    async def covers(subnets: Collection[str]) -> None:
        heard.append(sorted(subnets))

    for name, subnet in (("rt-net-3.me", "10.208.0.0/27"), ("rt-net-3.you", "10.208.0.32/27"), ("bridge", "10.88.0.0/16")):
        await engine.ensure_network(NetworkSpec(name, subnet))
    networks = network.Networks(engine, pool=str(POOL), instance="me", tag="t", covers=covers)
    await networks.take_stock()
    await networks.place(AppView(4))
    (made,) = set(heard[1]) - set(heard[0])
    await networks.forget(3)
    assert heard == [["10.208.0.0/27"], sorted(["10.208.0.0/27", made]), [made]]
