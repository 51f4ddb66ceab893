"""Masks secrets in text that people read: a job's log, its error message, an app's output.

:func:`secrets_of` decides which parts of an app's variables are secret; :class:`Redactor` replaces them, in every form in
which programs print them (percent-encoded, escaped as JSON, Base64), and :class:`RedactedStream` does so in text that
comes in pieces. Ordinary values stay readable: a log in which ``production`` and ``localhost`` are masked helps no one.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote

MASK = "**********"
MIN_SECRET = 6
"""Characters. Shorter values are too likely to be ordinary words."""
MIN_MARKED = 4
"""Characters of a value that its owner marked as secret, or that its name says is one."""
MIN_RANDOM = 16
"""Characters of a value that is taken for a key by its look alone."""
MIN_KEPT_BACK = 256
"""Characters of an unfinished line whose end may be the start of a secret."""

_NAME_WORD = re.compile(
    r"pass|passwd|passwords?|passphrase|pwd|secrets?|tokens?|apikey|keys?|credentials?|auth|authorization|private|signature"
    r"|cookie|salt|pepper|dsn|webhook|jwt|bearer|pat"
)
_NAME_OF_OTHER = re.compile(
    r"ur[il]|ttl|length|size|prefix|suffix|expir\w*|names?|ids?|file|path|dir|type|alg|algorithm|issuer|audience|host|port|enabled"
    r"|disabled|header|count|min|max|limits?|rounds|cost|scheme|method|mode|provider|domain|region|version|interval|timeout"
    r"|seconds|minutes|hours|days|strategy"
)
"""A name that ends so tells something about a secret: ``TOKEN_TTL``, ``PASSWORD_MIN``."""
_ORDINARY = re.compile(
    r"true|false|none|null|undefined|default|enabled|disabled|production|development|staging|testing|localhost|optional|required"
    r"|always|never|debug|info|warning|error"
)
_USERINFO = re.compile(r"(?<=[a-z0-9+.-])://([^\s/?#]*)@", re.IGNORECASE)
_IN_URL = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
"""The password in a URL."""
_PAIR = re.compile(
    r"(?:^|[?&;,\s])[\w.-]*(?:password|passwd|pwd|secret|token|apikey|api[_-]key|accountkey|accesskey|sharedaccesskey|sig|signature)"
    r"\s*=\s*([^&;\s]+)",
    re.IGNORECASE,
)
_KNOWN = re.compile(
    r"(?:gh[opsur]_|github_pat_|glpat-|sk-|sk_|rk_|pk_live_|whsec_|xox[abposr]-|AKIA|ASIA|AIza|ya29\.|npm_|pypi-|SG\.|hf_|dop_v1_"
    r"|shpat_|LTAI|eyJ)[\w.=+/-]{8,}"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SEPARATORS = re.compile(r"[^0-9A-Za-z]+")


def secrets_of(env: Mapping[str, str], marked: Collection[str] = ()) -> list[str]:
    """The parts of these variables that are secret: of those in ``marked`` the whole value, of others what looks so."""
    found: dict[str, None] = {}
    for name, value in env.items():
        certain = name in marked
        parts = [value] if certain else _looks_secret(name, value)
        for part in parts:
            for line in (part, *_lines(part)):
                if len(line) >= (MIN_MARKED if certain or line == value else MIN_SECRET):
                    found[line] = None
    return list(found)


def _looks_secret(name: str, value: str) -> Iterator[str]:
    if named_secret(name) and not _ORDINARY.fullmatch(value.lower()) and not value.isdigit():
        yield value
        return
    for userinfo in _USERINFO.findall(value):
        password = userinfo.partition(":")[2]
        yield from (p for p in {password, unquote(password)} if not _plain_word(p))
    yield from (pair for pair in _PAIR.findall(value) if not _ORDINARY.fullmatch(pair.lower()))
    yield from _KNOWN.findall(value)
    if "PRIVATE KEY" in value or _random(value):
        yield value


def named_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret: ``DB_PASSWORD``, ``stripeApiKey``."""
    words = [word.lower() for part in re.split(r"[^A-Za-z]+", name) for word in _WORD.findall(part)]
    return bool(words) and not _NAME_OF_OTHER.fullmatch(words[-1]) and any(map(_NAME_WORD.fullmatch, words))


def _plain_word(text: str) -> bool:
    """A password like ``postgres``: masked in every address, not wherever the word occurs."""
    return len(text) < 12 and (text.isdigit() or (text.isalpha() and (text.islower() or text.istitle() or text.isupper())))


def _random(value: str) -> bool:
    """Whether the value looks generated: one long run of letters and digits, or many characters without order."""
    if not MIN_RANDOM <= len(value) <= 4096 or any(c.isspace() for c in value) or "://" in value or value[0] in "/.~":
        return False
    if any(len(run) >= MIN_RANDOM and _mixed(run) for run in _SEPARATORS.split(value)):
        return True
    return len(value) >= 24 and _entropy(value) >= 4.0 and all(re.search(kind, value) for kind in ("[a-z]", "[A-Z]", "[0-9]"))


def _mixed(text: str) -> bool:
    digits = sum(c.isdigit() for c in text)
    letters = sum(c.isalpha() for c in text)
    return digits >= 2 and letters >= 2 and _entropy(text) >= 2.8


def _entropy(text: str) -> float:
    """Bits a character, by the text's own frequencies."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _lines(value: str) -> list[str]:
    """The lines of a longer value, which programs print one by one; also where line ends are written as ``\\n``."""
    lines = [line.strip() for line in re.split(r"\n|\r|\\n|\\r", value)]
    return [line for line in lines if len(line) >= MIN_SECRET and not line.startswith("-----")] if len(lines) > 1 else []


def _forms(secret: str) -> set[str]:
    """The ways in which programs print it."""
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    b64 = base64.b64encode(secret.encode("utf-8", "replace")).decode().rstrip("=") if len(secret) >= 8 else secret
    return {secret, *escaped, *encoded, b64}


class Redactor:
    """Replaces secrets by a mask. Short or wordlike ones only where they stand alone, all others anywhere."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {form for secret in secrets for part in (secret, *_lines(secret)) for form in _forms(part)}
        kept = sorted((p for p in parts if len(p) >= MIN_MARKED and p.strip()), key=lambda p: (-len(p), p))
        self._anywhere = [p for p in kept if not _needs_edges(p)]
        self._alone = [(p, re.compile(rf"(?<![0-9A-Za-z_]){re.escape(p)}(?![0-9A-Za-z_])")) for p in kept if _needs_edges(p)]
        self._kept_back = max(map(len, kept), default=0) + MIN_KEPT_BACK

    def __call__(self, text: str) -> str:
        out: list[str] = []
        at = 0
        for start, end in self.spans(text):
            out += (text[at:start], MASK)
            at = end
        return "".join([*out, text[at:]]) if out else text

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Positions of the secrets, in order; overlapping ones are merged."""
        found = [match.span(1) for match in _IN_URL.finditer(text)] if "://" in text else []
        for secret in self._anywhere:
            found += _occurrences(text, secret)
        for secret, pattern in self._alone:
            if secret in text:
                found += (match.span() for match in pattern.finditer(text))
        merged: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def safe_cut(self, text: str) -> int:
        """The last place where a cut divides no secret: neither one that is there nor one whose end may still come."""
        cut = max(0, len(text) - self._kept_back)
        around = next(((start, end) for start, end in self.spans(text) if start < cut < end), (cut, cut))
        return around[0] or min(around[1], len(text))

    def stream(self, hold: int) -> RedactedStream:
        """For text that comes in pieces; a line is cut once it has more than ``hold`` characters."""
        return RedactedStream(self, hold)


def _occurrences(text: str, secret: str) -> Iterator[tuple[int, int]]:
    """Where the secret stands; occurrences that overlap are one."""
    size, at = len(secret), text.find(secret)
    while at >= 0:
        last = at
        while (further := text.rfind(secret, last + 1, last + 2 * size - 1)) >= 0:
            last = further
        yield at, last + size
        at = text.find(secret, last + size)


def _needs_edges(secret: str) -> bool:
    return len(secret) < 8 or (len(secret) < 12 and secret.isalpha())


class RedactedStream:
    """Masks a text that comes in pieces, wherever the cuts fall. Whole lines leave at once."""

    def __init__(self, redact: Redactor, hold: int) -> None:
        self._redact, self._hold = redact, hold
        self._kept = ""

    def feed(self, piece: str) -> str:
        """What can leave now, masked."""
        self._kept += piece
        cut = self._kept.rfind("\n") + 1
        if not cut and len(self._kept) > self._hold:
            cut = self._redact.safe_cut(self._kept)
        ready, self._kept = self._kept[:cut], self._kept[cut:]
        return self._redact(ready)

    def rest(self) -> str:
        """What is left when nothing more comes, masked."""
        left, self._kept = self._kept, ""
        return self._redact(left)
