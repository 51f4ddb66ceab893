"""The error tree. A room raises one of these; the HTTP edge turns it into the envelope, in the caller's language.

::

    FunaiError                 any refusal that has a code, a stable reason and a message in two languages
    ├── BadInput        400    the request itself is wrong
    ├── Unauthenticated 401    no credentials, or wrong ones
    ├── Forbidden       403    authenticated, but not allowed
    ├── NotFound        404    not there, or not yours (never distinguished)
    ├── Conflict        409    right request, wrong moment
    ├── TooLarge        413    over a size limit
    ├── TooMany         429    over a rate limit
    ├── CalleeFailed    502    another process of ours failed or could not be reached
    └── Unavailable     503    this process can't serve now
    RemoteError                what a typed client raises when the other side answered an error envelope
    ConfigError                settings that can't be used: the process exits with 2
"""

from __future__ import annotations

from funai.contracts.reasons import Reason
from funai.i18n.reasons import render


class FunaiError(Exception):
    """An error with a stable ``reason``; its message comes from the catalogue by that reason.

    ``reason`` is a text when another process answered it: a newer one may know words that this one doesn't.

    ``params`` fill the message's placeholders and must be safe to show to the caller.
    ``text`` replaces the catalogue's message in every language (another program's words, a container's last lines).
    """

    code: int = 500
    default_reason: Reason = Reason.INTERNAL

    def __init__(self, reason: Reason | None = None, /, text: str | None = None, **params: object) -> None:
        self.reason: str = reason or self.default_reason
        self.params = params
        self.text = text
        super().__init__(self.message("en"))

    def message(self, language: str) -> str:
        """The message for people, ``zh`` or ``en``."""
        return self.text if self.text is not None else render(self.reason, language, self.params)


class BadInput(FunaiError):
    code = 400
    default_reason = Reason.BAD_INPUT


class Unauthenticated(FunaiError):
    code = 401
    default_reason = Reason.UNAUTHENTICATED


class Forbidden(FunaiError):
    code = 403
    default_reason = Reason.FORBIDDEN


class NotFound(FunaiError):
    code = 404
    default_reason = Reason.NOT_FOUND


class Conflict(FunaiError):
    code = 409
    default_reason = Reason.CONFLICT


class TooLarge(FunaiError):
    code = 413
    default_reason = Reason.TOO_LARGE


class TooMany(FunaiError):
    code = 429
    default_reason = Reason.TOO_MANY


class CalleeFailed(FunaiError):
    code = 502
    default_reason = Reason.CALLEE_FAILED


class Unavailable(FunaiError):
    code = 503
    default_reason = Reason.UNAVAILABLE


class RemoteError(FunaiError):
    """The other side answered, with an error: its own code, reason and message are kept."""

    def __init__(self, code: int, reason: str, text: str) -> None:
        self.code = code
        super().__init__(text=text)
        self.reason = reason


class ConfigError(Exception):
    """Settings that can't be used. Carries one line per problem: the key, where its value came from, the remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class NotReady(ConfigError):
    """What usable settings name does not answer now (a database, an engine): the next start may find it."""


_BY_CODE: dict[int, type[FunaiError]] = {
    c.code: c for c in (BadInput, Unauthenticated, Forbidden, NotFound, Conflict, TooLarge, TooMany, CalleeFailed, Unavailable)
}


def error_for(code: int, reason: str, text: str) -> FunaiError:
    """The tree's error for a status that another process answered with; a code without a class is a RemoteError."""
    kind = _BY_CODE.get(code)
    if kind is None:
        return RemoteError(code, reason, text)
    error = kind(text=text)
    error.reason = reason
    return error
