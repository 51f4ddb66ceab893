"""A refusal's words and next step, with where the value that caused it came from: an option, a variable, the login."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from funai.contracts.reasons import Reason
from funai.i18n.hints import hint
from funai.i18n.reasons import MESSAGES, render

if TYPE_CHECKING:
    from funai.base.clients.transport import NotOurs
    from funai.cli.session import Session
    from funai.contracts.errors import FunaiError

UNREACHABLE, NOT_FUNAI = "UNREACHABLE", "NOT_FUNAI"
_NO_CREDENTIAL = (Reason.UNAUTHENTICATED, Reason.TOKEN_EXPIRED)


def explain(session: Session, error: FunaiError) -> tuple[str, str, str | None]:
    """(reason, message, next step or None)."""
    from funai.base.clients.transport import NotOurs, Unreachable

    if isinstance(error, Unreachable):
        return UNREACHABLE, _unreachable(session, str(error.params["detail"])), _server_hint(session)
    if isinstance(error, NotOurs):
        return NOT_FUNAI, *_not_ours(session, error)
    if error.reason == Reason.NOT_FOUND and urlsplit(session.access.server).path:
        return NOT_FUNAI, *_with_path(session)
    message = in_language(error, session.language)
    if error.reason in _NO_CREDENTIAL and session.access.api_key:
        return error.reason, session.say("key_refused", server=session.access.server), session.say("key_refused_mend")
    advice = hint(error.reason, session.language, session.known, code=error.code)
    if error.reason in _NO_CREDENTIAL and session.access.source == "--server":
        advice = session.say("login_there", server=session.access.server)
    return error.reason, message, advice


def in_language(error: FunaiError, language: str) -> str:
    """The error's words. What was relayed from a process that didn't know the language is said again from the catalogue."""
    entry = MESSAGES.get(error.reason)
    plain = entry is not None and "{" not in entry[0]
    return render(error.reason, language, {}) if plain and error.message(language) in (entry or ()) else error.message(language)


def _unreachable(session: Session, detail: str) -> str:
    from funai.base.proxies import shown

    chosen = session.proxies.chosen(session.access.server)
    if chosen is None:
        return session.say("unreachable", server=session.access.server, detail=detail)
    proxy, variable = chosen
    return session.say(
        "unreachable_proxied", server=session.access.server, proxy=shown(proxy), variable=variable, detail=detail
    )


def _server_hint(session: Session) -> str:
    chosen = session.proxies.chosen(session.access.server)
    if chosen is not None:
        return session.say("proxy_mend", variable=chosen[1], host=urlsplit(session.access.server).hostname)
    return session.say(f"server_from_{session.access.origin}", server=session.access.server, file=session.config_file)


def _not_ours(session: Session, error: NotOurs) -> tuple[str, str]:
    server, status = session.access.server, error.status
    if error.location:
        target = _root(error.location)
        return session.say("server_redirects", server=server, target=target), session.say(
            "server_redirects_mend", target=target
        )
    if status >= 500:
        return session.say("server_behind_proxy", server=server, status=status), _server_hint(session)
    return session.say("not_funai", server=server, status=status), _server_mend(session)


def _with_path(session: Session) -> tuple[str, str]:
    return session.say("not_funai", server=session.access.server, status=404), _server_mend(session)


def _server_mend(session: Session) -> str:
    root = _root(session.access.server)
    words = session.say(f"server_from_{session.access.origin}", server=session.access.server, file=session.config_file)
    without = session.say("server_without_path", root=root) if root != session.access.server else session.say("server_form")
    return f"{words} {without}"


def _root(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, "", "", ""))
