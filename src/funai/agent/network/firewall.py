"""The host's firewall around the apps: rules as values, and the component that keeps them in place.

Networks separate apps from each other, but a container reaches every port its host listens on at the bridge's address.
One rule at the top of INPUT and FORWARD catches everything that comes from one of our bridges (their names begin with a
prefix of this platform) and sends it through chains of ours. A third one, in OUTPUT, catches what is meant for an app and is
about to leave by another way: Podman removes a bridge with its last container, and then the requests for an app that is
down would follow the default route to whoever has that address out there. A fourth chain, in the table nat, keeps the apps'
way out when another program flushes the engine's own masquerading rules::

    IN   answers, DNS at the bridge, allow-list: accept · the rest of the host: refuse
    FW   answers: return · allow-list: accept · other apps, link-local and metadata addresses, deny-list: refuse ·
         the public's doors: return · the platform's machines, published ports: refuse · the internet: return (the
         engine's and the operator's own rules decide)
    OUT  this host itself: return · an app's subnet, but not through a bridge of our kind: refuse
    NAT  from an app, out of this host: masquerade

INPUT's exceptions are accepted and not returned: a host firewall with the policy DROP would refuse them afterwards.
Chains are replaced as a whole in one transaction. They stay when the agent stops: the containers stay too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from funai.base.observability import log
from funai.base.process.proc import Command, checked
from funai.base.process.programs import find_program
from funai.i18n.reasons import Words

COMMAND_SECONDS = 10
LOCK_SECONDS = "5"
CHAINS = "FUNAI-"
METADATA = ("169.254.0.0/16", "100.100.100.200", "168.63.129.16")
"""Link-local addresses, where most clouds serve metadata, and those of Alibaba Cloud and Azure. Apps have no IPv6."""
ANY_BRIDGE = "fu+"
"""Of any platform: an address that is another's by now is not refused."""
HOOKS = {"iptables": ("INPUT", "FORWARD", "OUTPUT"), "ip6tables": ("INPUT", "FORWARD")}
NAT_HOOK = "POSTROUTING"
ENGINE_FORWARD = ("-j NETAVARK_FORWARD", "-j CNI-FORWARD", "-j DOCKER-USER", "-j DOCKER-FORWARD")
"""Ends of the rules by which engines hook their own chains into FORWARD."""
RESTORED_SECONDS = 900
"""How long a rule that was put back is spoken of."""


class FirewallRefused(Exception):
    """The rules could not be put in place; the text is the program's own."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``bridges`` is the prefix of our bridges' names; ``pool`` the subnet that all apps' networks come from."""

    tag: str
    bridges: str
    pool: str
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    platform: tuple[str, ...] = ()
    """As Deploy has them: refused, but for ``doors``."""
    doors: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    """This host's DNS servers, which apps may be led to: port 53 is open there, also on the platform's machines."""
    peers: tuple[str, ...] | None = None
    """Of one network that apps share with others (``bridges`` is its bridge's whole name): addresses of the others, whom no
    rule is for. None: apps have networks of their own."""

    @property
    def inward(self) -> str:
        return f"{CHAINS}{self.tag}-IN"

    @property
    def forward(self) -> str:
        return f"{CHAINS}{self.tag}-FW"

    @property
    def outward(self) -> str:
        return f"{CHAINS}{self.tag}-OUT"

    @property
    def nat(self) -> str:
        return f"{CHAINS}{self.tag}-NAT"

    def jump(self, hook: str) -> list[str]:
        """The one rule in this chain of the kernel, in the words that ``iptables -S`` has for it."""
        if hook == NAT_HOOK:
            return ["-s", str(IPv4Network(self.pool)), "-j", self.nat]
        if hook == "OUTPUT":
            return ["-d", str(IPv4Network(self.pool)), "!", "-o", ANY_BRIDGE, "-j", self.outward]
        bridges = self.bridges if self.shared else f"{self.bridges}+"
        return ["-i", bridges, "-j", self.inward if hook == "INPUT" else self.forward]

    @property
    def shared(self) -> bool:
        return self.peers is not None

    def hooks(self, family: str) -> tuple[str, ...]:
        """Chains of the kernel that ours are reached from. What leaves for an app has one way only in a shared network."""
        return tuple(hook for hook in HOOKS[family] if not (self.shared and hook == "OUTPUT"))

    def let_out(self) -> list[list[str]]:
        """What engines allow in FORWARD for their networks, in the words that ``iptables -S`` has for it."""
        answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"]
        return [["-i", f"{self.bridges}+", "-j", "ACCEPT"], ["-o", f"{self.bridges}+", *answers]]

    def restore_text(self, subnets: Collection[str] = ()) -> str:
        """For ``iptables-restore --noflush``: all chains, whole. ``subnets``: those of the apps there are."""
        answers = "-m conntrack --ctstate ESTABLISHED,RELATED"
        allowed = [f"{match} -j ACCEPT" for entry in self.allow for match in matches(entry)]
        refused = [f"{match} -j REJECT" for entry in (*METADATA, *self.deny) for match in matches(entry)]
        dns = [f"-d {self.pool} -p {protocol} --dport 53 -j ACCEPT" for protocol in ("udp", "tcp")]
        peers = [f"-s {peer} -j RETURN" for peer in self.peers or ()]
        inward = [f"{answers} -j ACCEPT", *peers, *dns, *allowed, "-j REJECT"]
        forward = [
            f"{answers} -j RETURN",
            *peers,
            *allowed,
            f"-d {self.pool} -j {'RETURN' if self.shared else 'REJECT'}",
            *refused,
            *(f"{match} -j RETURN" for entry in self.doors for match in matches(entry)),
            *(f"-d {server} -p {kind} --dport 53 -j RETURN" for server in self.resolvers for kind in ("udp", "tcp")),
            *(f"{match} -j REJECT" for entry in self.platform for match in matches(entry)),
            "-m conntrack --ctstate DNAT -j REJECT",
            "-j RETURN",
        ]
        # By a reset, which the gateway sees at once; an ICMP error would have its connect wait for a second try.
        outward = ["-o lo -j RETURN", *(f"-d {s} -p tcp -j REJECT --reject-with tcp-reset" for s in sorted(subnets))]
        return _restore("filter", {self.inward: inward, self.forward: forward, self.outward: outward})

    def restore_text_nat(self) -> str:
        """For ``iptables-restore --noflush``: what leaves this host by anything but a bridge of our kind is masqueraded."""
        return _restore("nat", {self.nat: ["-d 224.0.0.0/4 -j RETURN", f"! -o {ANY_BRIDGE} -j MASQUERADE"]})

    def restore_text_v6(self) -> str:
        """Apps have no IPv6 network; what they could reach by link-local addresses is the host itself. In a shared network
        the others may have one: they reach neither this host by it, nor is anything forwarded refused."""
        if self.shared:
            inward = ["-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN", "-p ipv6-icmp -j RETURN", "-j REJECT"]
            return _restore("filter", {self.inward: inward, self.forward: ["-j RETURN"]})
        return _restore("filter", {self.inward: ["-j REJECT"], self.forward: ["-j REJECT"]})


def matches(entry: str) -> list[str]:
    """``10.0.0.5:27017`` → a TCP match; ``10.0.0.0/24`` → everything there."""
    network, colon, port = entry.partition(":")
    return [f"-d {network} -p tcp --dport {port}"] if colon else [f"-d {network}"]


def jumps_in(listed: Sequence[str], hook: str, jump: Sequence[str]) -> tuple[list[int], bool]:
    """Where our jump is in ``iptables -S`` of a hook, and whether nothing but chains of our kind is in front of it."""
    rules = [line.split()[2:] for line in listed if line.startswith(f"-A {hook} ")]
    places = [i for i, rule in enumerate(rules) if rule == list(jump)]
    return places, bool(places) and all(rule[-1].startswith(CHAINS) for rule in rules[: places[0]])


def _restore(table: str, chains: dict[str, list[str]]) -> str:
    lines = [f"*{table}", *(f":{chain} - [0:0]" for chain in chains)]
    lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
    return "\n".join([*lines, "COMMIT", ""])


class Firewall:
    """Keeps the rules in place. Everything is idempotent; ``ensure`` and ``remove`` have one caller at a time."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._subnets: frozenset[str] = frozenset()
        self._in_place = self._nat_refused = False
        self._restored: dict[str, float] = {}
        """Hook → when its rule was last put back."""
        self._writing = asyncio.Lock()
        self.refusal: str | None = None
        """Why the rules are not as they should be; None when they are."""

    @staticmethod
    def possible() -> bool:
        """Only root may, and only with iptables installed."""
        return os.geteuid() == 0 and find_program("iptables") is not None

    async def ensure(self) -> None:
        """Chains as they should be, and our jumps first. Raises FirewallRefused."""
        await self._write_v4()
        families = ["iptables"]
        if find_program("ip6tables"):
            await self._restore("ip6tables", self.rules.restore_text_v6())
            families.append("ip6tables")
        for family in families:
            await self.ensure_first(family)
        if not self.rules.shared:
            await self._ensure_nat()
            await self._ensure_forwarding()
        self._in_place = True

    async def keep(self) -> bool:
        """``ensure``, whose refusal is kept in ``refusal`` and logged once."""
        try:
            await self.ensure()
        except FirewallRefused as e:
            self._refused(str(e))
            return False
        self.refusal = None
        return True

    def _refused(self, why: str) -> None:
        if self.refusal is None:
            log.get("firewall").warning("firewall.refused", consequence="what apps must not reach may be open", why=why)
        self.refusal = why

    async def wall_in(self, platform: Sequence[str], doors: Sequence[str]) -> None:
        """The platform's addresses from now on. What can't be written now is with the next ``keep``."""
        await self._rewrite(replace(self.rules, platform=tuple(platform), doors=tuple(doors)))

    async def know_peers(self, addresses: Sequence[str]) -> None:
        """The others in a shared network from now on."""
        peers = tuple(sorted(addresses))
        if peers != self.rules.peers:
            await self._rewrite(replace(self.rules, peers=peers))

    async def _rewrite(self, rules: Rules) -> None:
        self.rules = rules
        if self._in_place:
            try:
                await self._write_v4()
            except FirewallRefused as e:
                self._refused(str(e))

    async def cover(self, subnets: Collection[str]) -> None:
        """The subnets of all apps that there are now. What can't be written now is with the next ``ensure``."""
        if self._subnets == (now := frozenset(subnets)):
            return
        self._subnets = now
        if self._in_place:
            try:
                await self._write_v4()
            except FirewallRefused as e:
                log.get("firewall").warning("firewall.later", error=str(e))

    async def _write_v4(self) -> None:
        async with self._writing:
            await self._restore("iptables", self.rules.restore_text(self._subnets))

    async def _ensure_nat(self) -> None:
        """The apps' way out. A kernel without nat is logged once: the engine's own rules are all there is then."""
        hook, jump = NAT_HOOK, self.rules.jump(NAT_HOOK)
        try:
            await self._restore("iptables", self.rules.restore_text_nat())
            listed = (await self._run("iptables", "-t", "nat", "-S", hook)).splitlines()
            if not jumps_in(listed, hook, jump)[0]:
                await self._run("iptables", "-t", "nat", "-A", hook, *jump)
                self._put_in_place("iptables", hook)
            self._nat_refused = False
        except FirewallRefused as e:
            if not self._nat_refused:
                log.get("firewall").warning("firewall.no_nat", error=str(e))
            self._nat_refused = True

    def _put_in_place(self, family: str, hook: str) -> None:
        """Logs a rule that was put in place; a warning when it had been there: another program took it away."""
        if self._in_place:
            self._restored[hook] = time.monotonic()
            log.get("firewall").warning("firewall.restored", hook=hook, family=family, why="another program had removed it")
        else:
            log.get("firewall").info("firewall.in_place", hook=hook, family=family)

    def disturbed(self) -> Words | None:
        """What another program took away in the last minutes."""
        hooks = " ".join(h for h, at in self._restored.items() if time.monotonic() - at < RESTORED_SECONDS)
        if not hooks:
            return None
        return Words(
            f"另一个程序清除了平台的防火墙规则（{hooks}），已经恢复；请让它（防火墙脚本、iptables -F）保留 FUNAI-* 链",
            f"another program removed this platform's firewall rules ({hooks}); they are back. Let it (a firewall script, "
            "iptables -F) leave the chains FUNAI-* alone",
        )

    async def _ensure_forwarding(self) -> None:
        """Where the policy refuses and the engine's own rules were flushed, apps are let out as the engine did it.

        The rules go to the end: the operator's own decide first.
        """
        listed = (await self._run("iptables", "-S", "FORWARD")).splitlines()
        if "-P FORWARD ACCEPT" in listed or any(line.endswith(ENGINE_FORWARD) for line in listed):
            return
        for rule in self.rules.let_out():
            if f"-A FORWARD {' '.join(rule)}" not in listed:
                await self._run("iptables", "-A", "FORWARD", *rule)
                self._put_in_place("iptables", "FORWARD")

    async def ensure_first(self, family: str = "iptables") -> None:
        """Engines put rules of their own in front when they start: ours go back to the top."""
        for hook in self.rules.hooks(family):
            jump = self.rules.jump(hook)
            listed = (await self._run(family, "-S", hook)).splitlines()
            places, in_front = jumps_in(listed, hook, jump)
            if len(places) == 1 and in_front:
                continue
            for _ in places:
                await self._run(family, "-D", hook, *jump)
            await self._run(family, "-I", hook, "1", *jump)
            if places:
                log.get("firewall").info("firewall.in_front_again", hook=hook, family=family)
            else:
                self._put_in_place(family, hook)

    async def remove(self) -> None:
        """Nothing of ours is left. What is not there is no error."""
        self._in_place = False
        for family, hooks in HOOKS.items():
            if find_program(family) is None:
                continue
            for hook in hooks:
                while await self._try(family, "-D", hook, *self.rules.jump(hook)):
                    pass
                for rule in self.rules.let_out() if (family, hook) == ("iptables", "FORWARD") else ():
                    while await self._try(family, "-D", hook, *rule):
                        pass
            for chain in (self.rules.inward, self.rules.forward, self.rules.outward):
                if await self._try(family, "-F", chain):
                    await self._try(family, "-X", chain)
        while await self._try("iptables", "-t", "nat", "-D", NAT_HOOK, *self.rules.jump(NAT_HOOK)):
            pass
        if await self._try("iptables", "-t", "nat", "-F", self.rules.nat):
            await self._try("iptables", "-t", "nat", "-X", self.rules.nat)

    async def _restore(self, family: str, text: str) -> None:
        await _checked([_found(f"{family}-restore"), "-w", LOCK_SECONDS, "--noflush"], text.encode())

    async def _run(self, family: str, *words: str) -> str:
        return await _checked([_found(family), "-w", LOCK_SECONDS, *words])

    async def _try(self, family: str, *words: str) -> bool:
        try:
            await self._run(family, *words)
        except FirewallRefused:
            return False
        return True


async def _checked(argv: Sequence[str], given: bytes | None = None) -> str:
    return (await checked(Command(tuple(argv)), FirewallRefused, timeout=COMMAND_SECONDS, input=given)).text


def _found(name: str) -> str:
    return find_program(name) or name
