"""A client of an ACME authority (RFC 8555): one account, one order a certificate, HTTP-01 alone.

The gateway answers every challenge with the account key's thumbprint, so nothing is prepared before an order and nothing
is left of one that was cut off: the next one starts anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy import b64, jwa, jwk
from josepy.errors import Error as JoseError

from funai.base.files import write_whole
from funai.contracts.reasons import DomainTrouble

T = TypeVar("T")
CALL_SECONDS = 20
"""A request to the authority."""
ORDER_SECONDS = 120.0
"""An order from its first request to the certificate."""
_STEP_SECONDS = 3.0
_AT_ONCE = 4
_RATE_LIMITED = ("rateLimited",)
_AWAY = ("serverInternal", "badNonce")
_CHALLENGE = ("unauthorized", "connection", "dns", "incorrectResponse", "tls", "caa")


class IssueFailed(Exception):
    """No certificate. ``detail`` is the authority's own sentence, or what kept it from answering."""

    def __init__(self, trouble: DomainTrouble, detail: str) -> None:
        self.trouble, self.detail = trouble, " ".join(detail.split())[:400]
        super().__init__(f"{trouble}: {self.detail}")


@dataclass(frozen=True, slots=True)
class Account:
    """Whose orders they are. ``key`` is made once and kept in a file of mode 0600."""

    key: jwk.JWKEC

    @classmethod
    def from_file(cls, file: Path) -> Account:
        """Raises OSError, and ValueError for a file that holds no key."""
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(file, _pem(ec.generate_private_key(ec.SECP256R1())).decode())
        key = serialization.load_pem_private_key(file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{file}: not an elliptic curve's private key")
        return cls(jwk.JWKEC(key=key))

    @property
    def thumbprint(self) -> str:
        """What follows the token and a dot in the answer to a challenge (RFC 8555, 8.1)."""
        return b64.b64encode(self.key.thumbprint()).decode()


class Authority:
    """Orders certificates. Calls may overlap; a few orders are under way at once, the others wait."""

    def __init__(self, directory_url: str, account: Account, *, email: str = "", ca_file: Path | None = None) -> None:
        self._directory_url, self._account, self._email = directory_url, account, email
        self._verify = str(ca_file) if ca_file else True
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def obtain(self, name: str) -> str:
        """A new key and its certificate with the chain, as one PEM text. Raises IssueFailed."""
        async with self._turns:
            try:
                async with asyncio.timeout(ORDER_SECONDS):
                    return await self._order(name)
            except TimeoutError as e:
                raise IssueFailed(DomainTrouble.AUTHORITY_AWAY, f"the order took over {ORDER_SECONDS:g} s") from e

    async def _order(self, name: str) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        acme = await _call(self._open)
        order = await _call(lambda: acme.new_order(_request(key, name)))
        for asked in _each(order.authorizations):
            if asked.body.status != messages.STATUS_VALID:
                await self._prove(acme, asked)
        await _call(lambda: _finalize(acme, order))
        chain = await self._fetched(acme, order)
        return chain.strip() + "\n" + _pem(key).decode()

    def _open(self) -> client.ClientV2:
        """A session with the account, which the authority makes at the first order. Blocking."""
        verify: Any = self._verify  # a bundle's path does as well
        net = client.ClientNetwork(
            self._account.key, alg=jwa.ES256, verify_ssl=verify, user_agent="funai-deploy", timeout=CALL_SECONDS
        )
        directory = client.ClientV2.get_directory(self._directory_url, net)
        acme = client.ClientV2(directory, net)
        wanted = messages.NewRegistration.from_data(email=self._email or None, terms_of_service_agreed=True)
        try:
            acme.new_account(wanted)
        except errors.ConflictError as e:  # it has the account already
            net.account = messages.RegistrationResource(uri=e.location, body=messages.Registration())
        return acme

    async def _prove(self, acme: client.ClientV2, asked: messages.AuthorizationResource) -> None:
        offered = [c for c in _each(asked.body.challenges) if isinstance(c.chall, challenges.HTTP01)]
        if not offered:
            raise IssueFailed(DomainTrouble.AUTHORITY_REFUSED, "the authority offers no HTTP-01 challenge")
        chosen = offered[0]
        await _call(lambda: acme.answer_challenge(chosen, chosen.response(self._account.key)))
        while True:
            asked, answer = await _call(lambda current=asked: acme.poll(current))
            if asked.body.status == messages.STATUS_VALID:
                return
            if asked.body.status not in (messages.STATUS_PENDING, messages.STATUS_PROCESSING):
                raise IssueFailed(DomainTrouble.CHALLENGE_FAILED, _why_invalid(asked.body))
            wait = acme.retry_after(answer, 1) - datetime.now()  # noqa: DTZ005  # as the library counts
            await asyncio.sleep(min(max(wait.total_seconds(), 0.5), 10.0))

    async def _fetched(self, acme: client.ClientV2, order: messages.OrderResource) -> str:
        def ask() -> str | None:
            until = datetime.now() + timedelta(seconds=_STEP_SECONDS)  # noqa: DTZ005  # as the library counts
            try:
                return str(acme.poll_finalization(order, until).fullchain_pem)
            except errors.TimeoutError:
                return None

        while True:
            if (chain := await _call(ask)) is not None:
                return chain


async def _call(work: Callable[[], T]) -> T:
    """A blocking step in a thread. Raises IssueFailed."""
    try:
        return await asyncio.to_thread(work)
    except messages.Error as e:
        raise IssueFailed(_trouble_of(e), _words_of(e)) from e
    except errors.IssuanceError as e:
        raise IssueFailed(_trouble_of(e.error), _words_of(e.error)) from e
    except requests.RequestException as e:
        raise IssueFailed(DomainTrouble.AUTHORITY_AWAY, type(e).__name__) from e
    except (errors.Error, JoseError, ValueError) as e:
        raise IssueFailed(DomainTrouble.AUTHORITY_AWAY, f"an answer that can't be read ({type(e).__name__})") from e


def _trouble_of(error: messages.Error) -> DomainTrouble:
    code = error.code or ""
    if code in _RATE_LIMITED:
        return DomainTrouble.RATE_LIMITED
    if code in _CHALLENGE:
        return DomainTrouble.CHALLENGE_FAILED
    return DomainTrouble.AUTHORITY_AWAY if code in _AWAY else DomainTrouble.AUTHORITY_REFUSED


def _words_of(error: messages.Error) -> str:
    parts = [f"{part.detail or part.typ}" for part in (error, *_each(error.subproblems))]
    return "; ".join(parts)


def _why_invalid(authorization: messages.Authorization) -> str:
    found = [_words_of(c.error) for c in _each(authorization.challenges) if c.error is not None]
    return "; ".join(found) or f"the authorization is {authorization.status.name}"


def _finalize(acme: client.ClientV2, order: messages.OrderResource) -> None:
    try:
        acme.begin_finalization(order)
    except messages.Error as e:
        if e.code != "orderNotReady":  # polling sends it again once the order is
            raise


def _request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A signing request. Authorities take the name from the extension; a common name could not be long."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def _each(found: Any) -> list[Any]:
    """A list field of the library's, which its types call a function."""
    return list(found or ())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
