"""Apps' own domains: what hinders one, in Chinese and English."""

from __future__ import annotations

from funai.contracts.reasons import Reason

DOMAINS: dict[str, tuple[str, str]] = {
    # apps' own domains
    Reason.DOMAIN_INVALID: ("{name} 不能用作域名：{why}", "{name} can't be a domain: {why}"),
    Reason.DOMAIN_RESERVED: ("{name} 属于平台自己；请用你自己的域名", "{name} is the platform's own; give a domain of yours"),
    Reason.DOMAIN_TAKEN: (
        "{name} 已被其他用户使用；若域名是你的，请联系管理员",
        "{name} is in use by another user; if the domain is yours, ask the operator",
    ),
    Reason.DOMAIN_OTHER_APP: (
        "{name} 已用于你的应用 {app}；请先从那里移除",
        "{name} belongs to your app {app}; remove it there first",
    ),
    Reason.DOMAIN_LIMIT: ("每个应用最多 {limit} 个域名", "at most {limit} domains per app"),
    Reason.DOMAIN_NOT_FOUND: ("这个应用没有域名 {name}", "the app has no domain {name}"),
    Reason.DOMAIN_NOT_DEPLOYED: (
        "应用还没有部署过；第一次部署后域名才会生效",
        "the app was never deployed; its domains come into service after its first deploy",
    ),
    Reason.DOMAIN_DNS_MISSING: (
        "{name} 没有地址记录；请在域名服务商处添加指向 {expected} 的 A 记录",
        "{name} has no address; add an A record to {expected} at your DNS provider",
    ),
    Reason.DOMAIN_DNS_ELSEWHERE: (
        "{name} 指向 {found}；请在域名服务商处把它的 A/AAAA 记录改为 {expected}",
        "{name} points to {found}; change its A/AAAA record to {expected} at your DNS provider",
    ),
    Reason.DOMAIN_DNS_UNANSWERED: (
        "查询 {name} 时域名服务器没有应答；平台会自动再试",
        "no DNS server answered for {name}; it is tried again",
    ),
    Reason.DOMAIN_CHALLENGE_FAILED: (
        "证书机构没能验证 http://{name}/（80 端口须能到达本平台）：{detail}",
        "the certificate authority could not verify http://{name}/ (its port 80 must reach this platform): {detail}",
    ),
    Reason.DOMAIN_RATE_LIMITED: (
        "证书机构限制了申请次数，平台会稍后再试：{detail}",
        "the certificate authority limits how often it is asked; it is tried again later: {detail}",
    ),
    Reason.DOMAIN_AUTHORITY_REFUSED: ("证书机构拒绝了 {name}：{detail}", "the certificate authority refused {name}: {detail}"),
    Reason.DOMAIN_AUTHORITY_AWAY: (
        "证书机构没有应答（{detail}）；平台会自动再试，已有的证书继续使用",
        "the certificate authority did not answer ({detail}); it is tried again, and a certificate that is there stays in use",
    ),
    Reason.DOMAIN_NO_CERTIFICATE: (
        "平台没有 {name} 的证书，也没有配置证书机构；请管理员设置 gateway.acme-directory-url，或把证书放进 gateway.tls-dir",
        "there is no certificate for {name}, and no authority to ask; the operator sets gateway.acme-directory-url, or puts one into gateway.tls-dir",
    ),
    Reason.DOMAIN_NOT_SUPPORTED: (
        "应用所在节点的网关现在不能提供域名 {name}；请联系管理员",
        "the gateway of the app's node can't serve {name} now; ask the operator",
    ),
    Reason.DOMAINS_NEED_NEWER_DEPLOY: (
        "Deploy 服务的版本还不支持自有域名；请管理员升级",
        "the Deploy service is too old for domains; the operator upgrades it",
    ),
}
