"""Of machines that join, leave and are removed: refusals by reason, and phrases of the command line."""

from __future__ import annotations

REASONS: dict[str, tuple[str, str]] = {
    "CREDENTIAL_NEEDED": (
        "节点 {name} 使用的是共享密钥，不能自行退出；请由管理员执行 funai nodes remove {name}",
        "node {name} uses the shared secret and can't leave by itself; an admin removes it: funai nodes remove {name}",
    ),
    "JOIN_TOKEN_LIMIT": ("加入令牌数量已达上限 {limit}", "at most {limit} join tokens in a week"),
    "JOIN_TOKEN_UNKNOWN": (
        "加入令牌无效：请核对 --token，或由管理员执行 funai nodes token 重新生成",
        "no such join token: check --token, or have an admin make one with `funai nodes token`",
    ),
    "JOIN_TOKEN_EXPIRED": (
        "加入令牌已过期：请由管理员执行 funai nodes token 重新生成",
        "the join token has expired: have an admin make another with `funai nodes token`",
    ),
    "JOIN_TOKEN_USED": (
        "加入令牌已被节点 {name} 使用，每个令牌只能用一次：请由管理员执行 funai nodes token 重新生成",
        "node {name} has used this join token, and each works once: have an admin make another with `funai nodes token`",
    ),
    "JOIN_TOKEN_OF_ANOTHER": (
        "加入令牌是为节点 {owner} 生成的，不能用于 {name}：请使用 --name {owner}，或为 {name} 重新生成",
        "this join token was made for node {owner}, not for {name}: use --name {owner}, or have one made for {name}",
    ),
    "NODE_NAME_TAKEN": (
        "节点 {name} 已存在：请用 --name 换一个名称；若要替换该节点，请由管理员执行 funai nodes token --name {name}",
        "node {name} exists already: choose another --name; an admin lets you replace it: funai nodes token --name {name}",
    ),
    "NODE_HAS_APPS": (
        "节点 {node} 上还有 {count} 个应用：先迁走（funai nodes drain {node_id}），或加 --with-apps 让它们下线，数据随之丢失",
        "node {node} has {count} apps: move them (funai nodes drain {node_id}), or lose what they keep there (--with-apps)",
    ),
}

PHRASES: dict[str, tuple[str, str]] = {
    "join_token": (
        "加入令牌，{expires} 前有效，只能用一次，只显示这一次：",
        "join token, good once until {expires}, shown this once:",
    ),
    "join_token_next": (
        "在新机器上以 root 执行，令牌从标准输入或 FUNAI_JOIN_TOKEN 读取：",
        "on the new machine, as root; the token is read from standard input or FUNAI_JOIN_TOKEN:",
    ),
    "ttl_bad": (
        "--ttl {given}：请写成 30m、1h 或 2d，最短 1 分钟，最长 7 天",
        "--ttl {given}: give 30m, 1h or 2d; 1 minute to 7 days",
    ),
    "node_remove_ask": (
        "删除节点 {node}？其上 {apps} 个应用会下线，该节点上的容器、日志与未备份的数据不再可达，节点自己的凭据一并吊销。",
        "Remove node {node}? Its {apps} apps go off line; containers, logs and data there are lost, its credentials end.",
    ),
    "node_credentials_revoked": ("节点 {node} 的 {count} 个凭据已吊销", "{count} credentials of node {node} are revoked"),
    "no_credential_of": ("节点 {node} 没有自己的凭据", "node {node} has no credential of its own"),
}
