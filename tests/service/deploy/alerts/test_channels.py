"""Alerts that arrive: at an SMTP server and at HTTP receivers on loopback, and what their refusals become."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from funai.base.aio import bind, serving
from funai.base.process.ports import free_port
from funai.deploy.alerts.channels import Channel, Notice, NotSent, channels
from funai.deploy.alerts.settings import AlertSettings
from tests.service.deploy.alerts.mailbox import mailbox

NOTICE = Notice("silent:n1", "NODE_SILENT", "firing", "[FunAI] 告警: NODE_SILENT n1", "节点 n1 失联", 1_700_000_000_000)
REFUSED: dict[str, tuple[int, str]] = {
    "feishu": (200, '{"code":19021,"msg":"sign match fail"}'),
    "dingtalk": (200, '{"errcode":310000,"errmsg":"sign not match"}'),
    "wecom": (200, '{"errcode":93000,"errmsg":"invalid webhook url"}'),
    "slack": (403, "invalid_token"),
    "webhook": (500, ""),
}
TAKEN: dict[str, tuple[int, str]] = {
    "feishu": (200, '{"StatusCode":0,"code":0,"msg":"success"}'),
    "dingtalk": (200, '{"errcode":0,"errmsg":"ok"}'),
    "wecom": (200, '{"errcode":0,"errmsg":"ok"}'),
    "slack": (200, "ok"),
    "webhook": (204, ""),
}


@asynccontextmanager
async def receiver(answers: dict[str, tuple[int, str]]) -> AsyncIterator[tuple[int, list[tuple[str, Any]]]]:
    app, seen = FastAPI(), list[tuple[str, Any]]()

    @app.post("/{name}")
    async def take(name: str, request: Request) -> Response:
        seen.append((name, await request.json()))
        status, text = answers[name]
        return PlainTextResponse(text, status) if text else Response(status_code=status)

    async with serving(app, bind("127.0.0.1", 0), grace=1) as port:
        yield port, seen


def chats(port: int) -> list[Channel]:
    urls = {f"deploy.alerts.{name}.url": f"http://127.0.0.1:{port}/{name}" for name in TAKEN}
    return channels(AlertSettings.model_validate({**urls, "deploy.alerts.webhook.secret": "k"}))


async def test_send_reaches_every_chat_with_title_and_text() -> None:
    async with receiver(TAKEN) as (port, seen):
        for channel in chats(port):
            await channel.send(NOTICE)
    assert sorted(name for name, _ in seen) == sorted(TAKEN)
    assert all(NOTICE.text in str(body) and "NODE_SILENT n1" in str(body) for _, body in seen)


async def test_send_to_a_chat_that_refuses_fails_without_its_address() -> None:
    async with receiver(REFUSED) as (port, _):
        for channel in chats(port):
            with pytest.raises(NotSent) as failed:
                await channel.send(NOTICE)
            assert "127.0.0.1" not in str(failed.value)
    for channel in chats(free_port()):
        with pytest.raises(NotSent, match="ConnectError"):
            await channel.send(NOTICE)


def mail(port: int, **more: Any) -> Channel:
    given = {
        "deploy.alerts.mail.to": ["ops@x.test", "on-call@x.test"],
        "deploy.alerts.mail.from": "funai@x.test",
        "deploy.alerts.mail.host": "127.0.0.1",
        "deploy.alerts.mail.port": port,
        "deploy.alerts.mail.security": "none",
        **more,
    }
    return channels(AlertSettings.model_validate(given))[0]


async def test_mail_arrives_at_every_address_with_chinese_subject_and_text() -> None:
    async with mailbox() as box:
        await mail(box.port).send(NOTICE)
    assert box.recipients == ["ops@x.test", "on-call@x.test"]
    [raw] = box.mails
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert (read["Subject"], read["From"]) == (NOTICE.title, "funai@x.test")
    body = read.get_body()
    assert body is not None and NOTICE.text in body.get_content()


async def test_mail_that_is_refused_or_would_go_in_the_clear_fails_with_its_kind() -> None:
    async with mailbox(refuse="550 no") as box:
        with pytest.raises(NotSent, match="SMTPSenderRefused 550"):
            await mail(box.port).send(NOTICE)
        with pytest.raises(NotSent, match="SMTPNotSupportedError"):
            await mail(box.port, **{"deploy.alerts.mail.security": "starttls"}).send(NOTICE)
    with pytest.raises(NotSent, match="ConnectionRefusedError"):
        await mail(free_port()).send(NOTICE)
