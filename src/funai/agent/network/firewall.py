"""What apps may reach on and through this host, and where their requests may go: rules as values, and the hand that keeps
them in place.

Networks keep apps from one another; but a container reaches every port its host listens on at the bridge's address.
One rule of ours at the top of INPUT and FORWARD catches everything that comes from one of our bridges (their names begin
with a prefix of this platform) and sends it through our own chains. A third one, in OUTPUT, catches what is meant for an
app and is about to leave by another way: Podman takes a bridge away with its last container, and then the requests for an
app that is down would follow the default route to whoever has that address out there::

    IN   answers → pass · DNS at the bridge → pass · allow-list → pass · the rest of the host → refused
    FW   answers → pass · allow-list → pass · other apps, link-local (cloud metadata), the host's published ports,
         deny-list → refused · the internet → pass
    OUT  this host itself → pass · an app's subnet, but not through a bridge of our kind → refused

Chains are replaced as a whole in one transaction, so that at no moment is there half of them. They stay when the agent
stops: the containers stay too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from funai.base.observability import log
from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, run

COMMAND_SECONDS = 10
LOCK_SECONDS = "5"
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/local/sbin"
CHAINS = "FUNAI-"
LINK_LOCAL = "169.254.0.0/16"
ANY_BRIDGE = "fu+"
"""Of any platform: an address that is another's by now is not refused."""
HOOKS = {"iptables": ("INPUT", "FORWARD", "OUTPUT"), "ip6tables": ("INPUT", "FORWARD")}


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

    @property
    def inward(self) -> str:
        return f"{CHAINS}{self.tag}-IN"

    @property
    def forward(self) -> str:
        return f"{CHAINS}{self.tag}-FW"

    @property
    def outward(self) -> str:
        return f"{CHAINS}{self.tag}-OUT"

    def jump(self, hook: str) -> list[str]:
        """The one rule in ``INPUT``, ``FORWARD`` or ``OUTPUT``, in the words that ``iptables -S`` has for it."""
        if hook == "OUTPUT":
            return ["-d", str(IPv4Network(self.pool)), "!", "-o", ANY_BRIDGE, "-j", self.outward]
        return ["-i", f"{self.bridges}+", "-j", self.inward if hook == "INPUT" else self.forward]

    def restore_text(self, subnets: Collection[str] = ()) -> str:
        """For ``iptables-restore --noflush``: all chains, whole. ``subnets``: those of the apps there are."""
        answers = "-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
        allowed = [f"{match} -j RETURN" for entry in self.allow for match in matches(entry)]
        refused = [f"{match} -j REJECT" for entry in (LINK_LOCAL, *self.deny) for match in matches(entry)]
        inward = [
            answers, f"-d {self.pool} -p udp --dport 53 -j RETURN", f"-d {self.pool} -p tcp --dport 53 -j RETURN",
            *allowed, "-j REJECT",
        ]  # fmt: skip
        forward = [
            answers,
            *allowed,
            f"-d {self.pool} -j REJECT",
            *refused,
            "-m conntrack --ctstate DNAT -j REJECT",
            "-j RETURN",
        ]
        # By a reset, which the gateway hears of at once; an ICMP error would have its connect wait for a second try.
        outward = ["-o lo -j RETURN", *(f"-d {s} -p tcp -j REJECT --reject-with tcp-reset" for s in sorted(subnets))]
        return _restore({self.inward: inward, self.forward: forward, self.outward: outward})

    def restore_text_v6(self) -> str:
        """Apps have no IPv6 network; what they could reach by link-local addresses is the host itself."""
        return _restore({self.inward: ["-j REJECT"], self.forward: ["-j REJECT"]})


def matches(entry: str) -> list[str]:
    """``10.0.0.5:27017`` → a TCP match; ``10.0.0.0/24`` → everything there."""
    network, colon, port = entry.partition(":")
    return [f"-d {network} -p tcp --dport {port}"] if colon else [f"-d {network}"]


def jumps_in(listed: Sequence[str], hook: str, jump: Sequence[str]) -> tuple[list[int], bool]:
    """Where our jump is in ``iptables -S`` of a hook, and whether nothing but chains of our kind is in front of it."""
    rules = [line.split()[2:] for line in listed if line.startswith(f"-A {hook} ")]
    places = [i for i, rule in enumerate(rules) if rule == list(jump)]
    return places, bool(places) and all(rule[-1].startswith(CHAINS) for rule in rules[: places[0]])


def _restore(chains: dict[str, list[str]]) -> str:
    lines = ["*filter", *(f":{chain} - [0:0]" for chain in chains)]
    lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
    return "\n".join([*lines, "COMMIT", ""])


class Firewall:
    """Keeps the rules in place. Everything is idempotent; ``ensure`` and ``remove`` have one caller at a time."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._subnets: frozenset[str] = frozenset()
        self._in_place = False
        self._writing = asyncio.Lock()

    @staticmethod
    def possible() -> bool:
        """Only root may, and only with iptables installed."""
        return os.geteuid() == 0 and _program("iptables") is not None

    async def ensure(self) -> None:
        """Chains as they should be, and our jumps first. Raises FirewallRefused."""
        await self._write_v4()
        families = ["iptables"]
        if _program("ip6tables"):
            await self._restore("ip6tables", self.rules.restore_text_v6())
            families.append("ip6tables")
        for family in families:
            await self.ensure_first(family)
        self._in_place = True

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

    async def ensure_first(self, family: str = "iptables") -> None:
        """Engines put rules of their own in front when they start: ours go back to the top."""
        for hook in HOOKS[family]:
            jump = self.rules.jump(hook)
            listed = (await self._run(family, "-S", hook)).splitlines()
            places, in_front = jumps_in(listed, hook, jump)
            if len(places) == 1 and in_front:
                continue
            for _ in places:
                await self._run(family, "-D", hook, *jump)
            await self._run(family, "-I", hook, "1", *jump)
            log.get("firewall").info("firewall.in_place", hook=hook, family=family)

    async def remove(self) -> None:
        """Nothing of ours is left. What is not there is no error."""
        self._in_place = False
        for family, hooks in HOOKS.items():
            if _program(family) is None:
                continue
            for hook in hooks:
                while await self._try(family, "-D", hook, *self.rules.jump(hook)):
                    pass
            for chain in (self.rules.inward, self.rules.forward, self.rules.outward):
                if await self._try(family, "-F", chain):
                    await self._try(family, "-X", chain)

    async def _restore(self, family: str, text: str) -> None:
        await self._checked([_found(f"{family}-restore"), "-w", LOCK_SECONDS, "--noflush"], text.encode())

    async def _run(self, family: str, *words: str) -> str:
        return await self._checked([_found(family), "-w", LOCK_SECONDS, *words])

    async def _try(self, family: str, *words: str) -> bool:
        try:
            await self._run(family, *words)
        except FirewallRefused:
            return False
        return True

    async def _checked(self, argv: Sequence[str], given: bytes | None = None) -> str:
        try:
            done = await run(Command(tuple(argv)), timeout=COMMAND_SECONDS, input=given)
        except (ProcessMissing, ProcessTimeout) as e:
            raise FirewallRefused(str(e)) from e
        if done.code != 0:
            raise FirewallRefused(f"{' '.join(argv)}: {done.error_text}")
        return done.text


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)


def _found(name: str) -> str:
    return _program(name) or name
