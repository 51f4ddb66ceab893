"""What an operator may set about alerts. Without a channel nothing is looked for."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import SecretStr, model_validator

from funai.base.config.settings import CsvList, Settings, key
from funai.contracts.errors import ConfigError


class MailSecurity(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class AlertLanguage(StrEnum):
    ZH = "zh"
    EN = "en"


class AlertSettings(Settings):
    """URLs of chats are secrets: whoever has one may write there."""

    alert_language: AlertLanguage = key("deploy.alerts.language", AlertLanguage.ZH, doc="Language of alerts: zh or en")
    alert_platform: str = key("deploy.alerts.platform", "FunAI", doc="Name of this platform in alerts", max_length=64)
    alert_every_seconds: float = key("deploy.alerts.every-seconds", 15, doc="How often is looked", ge=1, le=3600)
    alert_after_seconds: int = key(
        "deploy.alerts.after-seconds", 120, doc="So long something must be wrong before it is sent", ge=0, le=86_400
    )
    alert_repeat_seconds: int = key(
        "deploy.alerts.repeat-seconds", 14_400, doc="What stays wrong is sent again this much later", ge=60, le=30 * 86_400
    )
    alert_queue_seconds: int = key(
        "deploy.alerts.queue-seconds", 300, doc="A job that could be claimed for longer is wrong", ge=1, le=86_400
    )
    alert_certificate_days: int = key(
        "deploy.alerts.certificate-days",
        14,
        doc="A certificate of an app's own domain, a gateway or an edge that ends sooner is wrong",
        ge=1,
        le=90,
    )
    alert_errors_pct: float = key(
        "deploy.alerts.errors-pct",
        5,
        doc="Per cent of a gateway's requests that may end in 5xx in a minute",
        ge=0,
        le=100,
    )
    alert_errors_least: int = key("deploy.alerts.errors-least", 10, doc="Fewer 5xx in a minute are not", ge=1, le=1_000_000)

    alert_mail_to: CsvList = key("deploy.alerts.mail.to", [], doc="Addresses that alerts are mailed to; empty: none")
    alert_mail_from: str = key("deploy.alerts.mail.from", "", doc="The sender's address")
    alert_mail_host: str = key("deploy.alerts.mail.host", "", doc="The SMTP server")
    alert_mail_port: int = key("deploy.alerts.mail.port", 587, doc="Its port", ge=1, le=65535)
    alert_mail_security: MailSecurity = key(
        "deploy.alerts.mail.security", MailSecurity.STARTTLS, doc="starttls, tls (from the first byte, port 465) or none"
    )
    alert_mail_username: str = key("deploy.alerts.mail.username", "", doc="Login there; empty: none")
    alert_mail_password: SecretStr = key("deploy.alerts.mail.password", SecretStr(""), doc="Its password")

    alert_webhook_url: SecretStr | None = key("deploy.alerts.webhook.url", None, doc="Gets each alert as signed JSON")
    alert_webhook_secret: SecretStr | None = key(
        "deploy.alerts.webhook.secret", None, doc="Key of `X-Funai-Signature`: `sha256=` HMAC of timestamp, full stop, body"
    )
    alert_slack_url: SecretStr | None = key("deploy.alerts.slack.url", None, doc="Incoming webhook of a Slack channel")
    alert_feishu_url: SecretStr | None = key("deploy.alerts.feishu.url", None, doc="Custom bot of a Feishu or Lark group")
    alert_feishu_secret: SecretStr | None = key("deploy.alerts.feishu.secret", None, doc="Its signing secret, if it has one")
    alert_dingtalk_url: SecretStr | None = key("deploy.alerts.dingtalk.url", None, doc="Custom robot of a DingTalk group")
    alert_dingtalk_secret: SecretStr | None = key("deploy.alerts.dingtalk.secret", None, doc="Its signing secret (SEC…)")
    alert_wecom_url: SecretStr | None = key("deploy.alerts.wecom.url", None, doc="Group robot of WeCom")

    @model_validator(mode="after")
    def _channels_are_whole(self) -> Self:
        problems = [
            f"deploy.alerts.mail.{name}: is not set; set it, or leave mail.to empty"
            for name, value in (("from", self.alert_mail_from), ("host", self.alert_mail_host))
            if self.alert_mail_to and not value
        ]
        if self.alert_webhook_url and not self.alert_webhook_secret:
            problems.append("deploy.alerts.webhook.secret: is not set; the receiver knows by it that an alert is ours")
        for name in ("webhook", "slack", "feishu", "dingtalk", "wecom"):
            url: SecretStr | None = getattr(self, f"alert_{name}_url")
            if url and not url.get_secret_value().startswith(("http://", "https://")):
                problems.append(f"deploy.alerts.{name}.url: is no http:// or https:// URL; give the whole address")
        if problems:
            raise ConfigError(problems)
        return self
