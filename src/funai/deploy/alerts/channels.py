"""Where alerts go. Bodies and signatures are functions of values; one class sends each kind. No log has a URL or a secret.

Signatures are the vendors': Feishu signs an empty message with ``timestamp\\nsecret`` for key, DingTalk signs
``timestamp\\nsecret`` with the secret; WeCom and Slack have the secret in the URL alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx
from pydantic import BaseModel, ValidationError

from funai.deploy.alerts.settings import AlertSettings, MailSecurity

SECONDS = 10
WECOM_BYTES = 2000
"""Of a text; the robot refuses more than 2048."""


class NotSent(Exception):
    """A channel took the alert not; the text has a status or a kind of error, never the address."""


@dataclass(frozen=True, slots=True)
class Notice:
    """``state`` is firing, again or recovered; ``title`` and ``text`` are for people."""

    key: str
    reason: str
    state: str
    title: str
    text: str
    since_ms: int

    @property
    def line(self) -> str:
        return f"{self.title}\n{self.text}"


class Channel(Protocol):
    name: str

    async def send(self, notice: Notice) -> None:
        """Raises NotSent."""
        ...


@dataclass(frozen=True, slots=True)
class Post:
    """One HTTP call: ``url`` with the vendor's query, the body as it is signed, and headers."""

    url: str
    body: bytes
    headers: dict[str, str]


def webhook(url: str, secret: str, notice: Notice, now: float) -> Post:
    fields = {"key": notice.key, "reason": notice.reason, "state": notice.state, "title": notice.title, "text": notice.text}
    body = _json({**fields, "sinceMs": notice.since_ms})
    stamp = str(int(now))
    sign = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return Post(url, body, {"X-Funai-Timestamp": stamp, "X-Funai-Signature": f"sha256={sign}"})


def slack(url: str, _secret: str, notice: Notice, _now: float) -> Post:
    safe = notice.line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Post(url, _json({"text": safe}), {})


def feishu(url: str, secret: str, notice: Notice, now: float) -> Post:
    body: dict[str, object] = {"msg_type": "text", "content": {"text": notice.line}}
    if secret:
        stamp = str(int(now))
        sign = hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
        body |= {"timestamp": stamp, "sign": base64.b64encode(sign).decode()}
    return Post(url, _json(body), {})


def dingtalk(url: str, secret: str, notice: Notice, now: float) -> Post:
    body = _json({"msgtype": "text", "text": {"content": notice.line}})
    if not secret:
        return Post(url, body, {})
    stamp = str(round(now * 1000))
    sign = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    query = urlencode({"timestamp": stamp, "sign": base64.b64encode(sign).decode()})
    return Post(f"{url}{'&' if '?' in url else '?'}{query}", body, {})


def wecom(url: str, _secret: str, notice: Notice, _now: float) -> Post:
    text = notice.line.encode()[:WECOM_BYTES].decode(errors="ignore")
    return Post(url, _json({"msgtype": "text", "text": {"content": text}}), {})


Maker = Callable[[str, str, Notice, float], Post]


class _Verdict(BaseModel):
    errcode: int = 0
    code: int = 0


class Chat:
    """One HTTP channel. Vendors answer 200 also to what they refuse: their own code must be 0."""

    def __init__(self, name: str, make: Maker, url: str, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        self.name, self._make, self._url, self._secret, self._clock = name, make, url, secret, clock

    async def send(self, notice: Notice) -> None:
        post = self._make(self._url, self._secret, notice, self._clock())
        headers = {"Content-Type": "application/json; charset=utf-8", **post.headers}
        try:
            async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as http:
                answer = await http.post(post.url, content=post.body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            raise NotSent(type(e).__name__) from None
        if answer.status_code // 100 != 2:
            raise NotSent(f"HTTP {answer.status_code}")
        if code := _vendor_code(answer):
            raise NotSent(f"refused with code {code}")


class Mail:
    """By the standard library's SMTP client, in a thread."""

    name = "mail"

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings

    async def send(self, notice: Notice) -> None:
        import asyncio  # noqa: PLC0415

        try:
            await asyncio.to_thread(self._deliver, notice)
        except (OSError, smtplib.SMTPException) as e:
            code = f" {e.smtp_code}" if isinstance(e, smtplib.SMTPResponseException) else ""
            raise NotSent(f"{type(e).__name__}{code}") from None

    def _deliver(self, notice: Notice) -> None:
        s = self._settings
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = s.alert_mail_from, ", ".join(s.alert_mail_to), notice.title
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="funai.invalid")
        mail.set_content(notice.text)
        tls = s.alert_mail_security is MailSecurity.TLS
        context = ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(s.alert_mail_host, s.alert_mail_port, timeout=SECONDS, context=context)
            if tls
            else smtplib.SMTP(s.alert_mail_host, s.alert_mail_port, timeout=SECONDS)
        ) as smtp:
            if s.alert_mail_security is MailSecurity.STARTTLS:
                smtp.starttls(context=context)
            if s.alert_mail_username:
                smtp.login(s.alert_mail_username, s.alert_mail_password.get_secret_value())
            smtp.send_message(mail)


def channels(settings: AlertSettings) -> list[Channel]:
    """The channels that are set."""
    chats: list[tuple[str, Maker, Any, Any]] = [
        ("webhook", webhook, settings.alert_webhook_url, settings.alert_webhook_secret),
        ("slack", slack, settings.alert_slack_url, None),
        ("feishu", feishu, settings.alert_feishu_url, settings.alert_feishu_secret),
        ("dingtalk", dingtalk, settings.alert_dingtalk_url, settings.alert_dingtalk_secret),
        ("wecom", wecom, settings.alert_wecom_url, None),
    ]
    found: list[Channel] = [Mail(settings)] if settings.alert_mail_to else []
    for name, make, url, secret in chats:
        if url:
            found.append(Chat(name, make, url.get_secret_value(), secret.get_secret_value() if secret else ""))
    return found


def _vendor_code(answer: httpx.Response) -> int:
    """``errcode`` (DingTalk, WeCom) or ``code`` (Feishu); 0 for others' answers."""
    try:
        said = _Verdict.model_validate_json(answer.content)
    except ValidationError:
        return 0
    return said.errcode or said.code


def _json(body: dict[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
