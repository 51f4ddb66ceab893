"""The firewall's rules as values."""

from __future__ import annotations

from funai.agent.network.firewall import Rules, jumps_in, matches

RULES = Rules("ab12", "fuab12", "10.208.0.0/13", allow=("10.0.0.5:27017",), deny=("10.0.0.0/24",))


def chain(name: str) -> list[str]:
    prefix = f"-A {name} "
    return [line.removeprefix(prefix) for line in RULES.restore_text().splitlines() if line.startswith(prefix)]


def test_answers_come_first_and_the_host_is_closed_at_the_end() -> None:
    inward = chain(RULES.inward)
    assert inward[0] == "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    assert inward[-1] == "-j REJECT"


def test_dns_at_the_bridge_stays_open() -> None:
    assert "-d 10.208.0.0/13 -p udp --dport 53 -j ACCEPT" in chain(RULES.inward)


def test_allowed_comes_before_what_it_is_an_exception_of() -> None:
    for name in (RULES.inward, RULES.forward):
        rules = chain(name)
        allowed = rules.index("-d 10.0.0.5/32 -p tcp --dport 27017 -j ACCEPT".replace("/32", ""))
        assert allowed < next(i for i, rule in enumerate(rules) if rule.endswith("REJECT"))


def test_other_apps_metadata_published_ports_and_denied_addresses_are_refused() -> None:
    forward = chain(RULES.forward)
    metadata = ("-d 169.254.0.0/16", "-d 100.100.100.200", "-d 168.63.129.16")
    for match in ("-d 10.208.0.0/13", *metadata, "-d 10.0.0.0/24", "-m conntrack --ctstate DNAT"):
        assert f"{match} -j REJECT" in forward
    assert forward[-1] == "-j RETURN"


def test_the_public_doors_are_open_on_denied_machines_but_not_what_the_node_denies_itself() -> None:
    rules = Rules("ab12", "fuab12", "10.208.0.0/13", deny=("10.0.0.9",), platform=("10.0.0.2",), doors=("10.0.0.2:443",))
    lines = rules.restore_text().splitlines()
    own, door, platform = (
        lines.index(f"-A {rules.forward} {rule}")
        for rule in ("-d 10.0.0.9 -j REJECT", "-d 10.0.0.2 -p tcp --dport 443 -j RETURN", "-d 10.0.0.2 -j REJECT")
    )
    assert own < door < platform
    assert f"-A {rules.inward} -d 10.0.0.2 -p tcp --dport 443 -j RETURN" not in lines


def test_dns_servers_of_the_host_are_open_on_denied_machines() -> None:
    rules = Rules("ab12", "fuab12", "10.208.0.0/13", platform=("10.0.0.2",), resolvers=("10.0.0.2",))
    lines = rules.restore_text().splitlines()
    denied = lines.index(f"-A {rules.forward} -d 10.0.0.2 -j REJECT")
    for kind in ("udp", "tcp"):
        assert lines.index(f"-A {rules.forward} -d 10.0.0.2 -p {kind} --dport 53 -j RETURN") < denied


def test_shared_networks_rules_are_for_all_but_the_peers_and_leave_neighbours_to_the_engine() -> None:
    rules = Rules("ab12", "br-0123456789ab", "172.18.0.0/16", platform=("10.0.0.2",), peers=("172.18.0.2",))
    assert rules.jump("INPUT") == ["-i", "br-0123456789ab", "-j", rules.inward]
    assert (rules.hooks("iptables"), rules.hooks("ip6tables")) == (("INPUT", "FORWARD"), ("INPUT", "FORWARD"))
    lines = rules.restore_text().splitlines()
    for name in (rules.inward, rules.forward):
        assert lines.index(f"-A {name} -s 172.18.0.2 -j RETURN") < next(
            n for n, line in enumerate(lines) if line.startswith(f"-A {name} ") and line.endswith("REJECT")
        )
    assert f"-A {rules.forward} -d 172.18.0.0/16 -j RETURN" in lines
    assert f"-A {rules.inward} -j REJECT" in lines


def test_chains_are_replaced_in_one_transaction() -> None:
    text = RULES.restore_text()
    assert text.startswith("*filter\n:FUNAI-ab12-IN - [0:0]\n:FUNAI-ab12-FW - [0:0]\n:FUNAI-ab12-OUT - [0:0]\n")
    assert text.endswith("COMMIT\n")


def test_what_is_meant_for_an_app_leaves_by_no_other_way_than_its_bridge() -> None:
    text = RULES.restore_text(["10.208.0.32/27", "10.208.0.0/27"])
    outward = [line for line in text.splitlines() if line.startswith("-A FUNAI-ab12-OUT ")]
    assert [line.split()[3] for line in outward] == ["lo", "10.208.0.0/27", "10.208.0.32/27"]
    assert RULES.jump("OUTPUT") == ["-d", "10.208.0.0/13", "!", "-o", "fu+", "-j", "FUNAI-ab12-OUT"]


def test_an_entry_with_a_port_is_tcp() -> None:
    assert matches("10.0.0.5:80") == ["-d 10.0.0.5 -p tcp --dport 80"]
    assert matches("10.0.0.0/24") == ["-d 10.0.0.0/24"]


def test_in_front_means_that_only_our_kind_is_before_it() -> None:
    jump = RULES.jump("INPUT")
    ours, neighbour, foreign = f"-A INPUT {' '.join(jump)}", "-A INPUT -i fu99+ -j FUNAI-99-IN", "-A INPUT -j ACCEPT"
    assert jumps_in(["-P INPUT ACCEPT", ours, foreign], "INPUT", jump) == ([0], True)
    assert jumps_in(["-P INPUT ACCEPT", neighbour, ours], "INPUT", jump) == ([1], True)
    assert jumps_in(["-P INPUT ACCEPT", foreign, ours], "INPUT", jump) == ([1], False)
    assert jumps_in(["-P INPUT ACCEPT"], "INPUT", jump) == ([], False)
