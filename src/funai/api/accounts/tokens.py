"""Login tokens (JWT, HS256) and API keys. Pure: time comes in as an argument."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import jwt

from funai.contracts.errors import Unauthenticated
from funai.contracts.reasons import Reason

ALGORITHM = "HS256"
ISSUER = "funai"
API_KEY_PREFIX = "fak_"


@dataclass(frozen=True, slots=True)
class TokenClaims:
    user_id: int
    version: int
    """Must equal the user's token version: a password change raises it and so ends all earlier logins."""


class Tokens:
    def __init__(self, secret: str, seconds: int) -> None:
        self._secret, self.seconds = secret, seconds

    def issue(self, claims: TokenClaims, now: datetime) -> str:
        issued = int(now.timestamp())
        body = {"sub": str(claims.user_id), "ver": claims.version, "iss": ISSUER, "iat": issued, "exp": issued + self.seconds}
        return jwt.encode(body, self._secret, algorithm=ALGORITHM)

    def read(self, token: str, now: datetime) -> TokenClaims:
        """Raises Unauthenticated, with TOKEN_EXPIRED when that is all that is wrong."""
        try:
            # Expiry is checked below against the given time, not the library's own clock.
            body = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                options={"require": ["sub", "exp", "iat"], "verify_exp": False, "verify_iat": False},
            )
            claims = TokenClaims(int(body["sub"]), int(body["ver"]))
            expires = int(body["exp"])
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as e:
            raise Unauthenticated() from e
        if now.timestamp() >= expires:
            raise Unauthenticated(Reason.TOKEN_EXPIRED)
        return claims


def new_api_key() -> str:
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


def hash_api_key(api_key: str) -> str:
    """Keys are 256 random bits, so a plain hash keeps them: there is nothing to guess from."""
    return hashlib.sha256(api_key.encode("utf-8", "replace")).hexdigest()
