"""Bodies and signatures as each receiver checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from funai.contracts.errors import ConfigError
from funai.deploy.alerts.channels import Notice, channels, dingtalk, feishu, slack, webhook, wecom
from funai.deploy.alerts.settings import AlertSettings

NOTICE = Notice("silent:n1", "NODE_SILENT", "firing", "[FunAI] 告警: NODE_SILENT n1", "节点 n1 失联 <&>", 1_700_000_000_000)
NOW = 1_700_000_123.4


def test_webhook_is_signed_over_timestamp_and_body() -> None:
    post = webhook("https://x.test/h", "k", NOTICE, NOW)
    stamp = post.headers["X-Funai-Timestamp"]
    mac = hmac.new(b"k", stamp.encode() + b"." + post.body, hashlib.sha256).hexdigest()
    assert (stamp, post.headers["X-Funai-Signature"]) == ("1700000123", f"sha256={mac}")
    assert json.loads(post.body)["text"] == NOTICE.text and json.loads(post.body)["sinceMs"] == NOTICE.since_ms


def test_feishu_signs_nothing_with_timestamp_and_secret_for_key() -> None:
    # As its manual has it: the string "timestamp\\nsecret" is the key of an HMAC-SHA256 over the empty message, in Base64.
    body = json.loads(feishu("https://x.test/h", "demo", NOTICE, 1599360473.0).body)
    key = b"1599360473\ndemo"
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key.ljust(64, b"\0"))).digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key.ljust(64, b"\0")) + inner).digest()
    assert (body["timestamp"], body["sign"]) == ("1599360473", base64.b64encode(outer).decode())
    assert body["msg_type"] == "text" and body["content"]["text"].endswith(NOTICE.text)
    assert "sign" not in json.loads(feishu("https://x.test/h", "", NOTICE, NOW).body)


def test_dingtalk_puts_milliseconds_and_signature_into_the_query() -> None:
    # As its manual has it: HMAC-SHA256 of "timestamp\\nsecret" with the secret for key, in Base64, then URL-encoded.
    post = dingtalk("https://x.test/robot/send?access_token=t", "SECdemo", NOTICE, NOW)
    query = parse_qs(urlsplit(post.url).query)
    mac = hmac.new(b"SECdemo", b"1700000123400\nSECdemo", hashlib.sha256).digest()
    assert query == {"access_token": ["t"], "timestamp": ["1700000123400"], "sign": [base64.b64encode(mac).decode()]}
    assert json.loads(post.body)["msgtype"] == "text"
    assert dingtalk("https://x.test/h", "", NOTICE, NOW).url == "https://x.test/h"


def test_wecom_text_fits_the_robots_bytes_and_breaks_no_character() -> None:
    long = Notice("k", "R", "firing", "t", "错" * 3000, 0)
    text = json.loads(wecom("https://x.test/h", "", long, NOW).body)["text"]["content"]
    assert 1990 < len(text.encode()) <= 2000 and set(text) == {"t", "\n", "错"}


def test_slack_text_has_no_markup_of_its_own() -> None:
    assert json.loads(slack("https://x.test/h", "", NOTICE, NOW).body)["text"].endswith("失联 &lt;&amp;&gt;")


def test_channels_are_those_that_are_set_and_show_no_secret() -> None:
    settings = AlertSettings.model_validate(
        {
            "deploy.alerts.mail.to": ["a@x.test"],
            "deploy.alerts.mail.from": "f@x.test",
            "deploy.alerts.mail.host": "mx.test",
            "deploy.alerts.wecom.url": "https://x.test/?key=hidden",
            "deploy.alerts.slack.url": "https://x.test/hidden",
        }
    )
    assert [c.name for c in channels(settings)] == ["mail", "slack", "wecom"]
    assert "hidden" not in repr(settings)
    assert channels(AlertSettings()) == []


@pytest.mark.parametrize(
    "given",
    [
        {"deploy.alerts.mail.to": ["a@x.test"]},
        {"deploy.alerts.webhook.url": "https://x.test"},
        {"deploy.alerts.slack.url": "hooks.slack.com/x"},
    ],
)
def test_settings_of_half_a_channel_are_refused_by_name(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"deploy\.alerts\.") as refused:
        AlertSettings.model_validate(given)
    assert "hooks.slack" not in str(refused.value)
