"""Of machines that join, leave and are removed: refusals by reason, and phrases of the command line."""

from __future__ import annotations

from funai.contracts.reasons import Reason

REASONS: dict[str, tuple[str, str]] = {
    Reason.CREDENTIAL_NEEDED: (
        "节点 {name} 使用的是共享密钥，不能自行退出；请由管理员执行 funai nodes remove {name}",
        "node {name} uses the shared secret and can't leave by itself; an admin removes it: funai nodes remove {name}",
    ),
    Reason.JOIN_TOKEN_LIMIT: ("加入令牌数量已达上限 {limit}", "at most {limit} join tokens in a week"),
    Reason.JOIN_TOKEN_UNKNOWN: (
        "加入令牌无效：请核对 --token，或由管理员执行 funai nodes token 重新生成",
        "no such join token: check --token, or have an admin make one with `funai nodes token`",
    ),
    Reason.JOIN_TOKEN_EXPIRED: (
        "加入令牌已过期：请由管理员执行 funai nodes token 重新生成",
        "the join token has expired: have an admin make another with `funai nodes token`",
    ),
    Reason.JOIN_TOKEN_USED: (
        "加入令牌已被节点 {name} 使用，每个令牌只能用一次：请由管理员执行 funai nodes token 重新生成",
        "node {name} has used this join token, and each works once: have an admin make another with `funai nodes token`",
    ),
    Reason.JOIN_TOKEN_OF_ANOTHER: (
        "加入令牌是为节点 {owner} 生成的，不能用于 {name}：请使用 --name {owner}，或为 {name} 重新生成",
        "this join token was made for node {owner}, not for {name}: use --name {owner}, or have one made for {name}",
    ),
    Reason.NODE_NAME_TAKEN: (
        "节点 {name} 已存在：请用 --name 换一个名称；若要替换该节点，请由管理员执行 funai nodes token --name {name}",
        "node {name} exists already: choose another --name; an admin lets you replace it: funai nodes token --name {name}",
    ),
    Reason.NODE_HAS_APPS: (
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
    "join_root": (
        "需要 root：防火墙、容器引擎与 /etc 都由 root 管理；请用 sudo 运行",
        "run it as root: firewall, engine and /etc are root's",
    ),
    "join_no_engine": (
        "没有容器引擎：{socket} 没有应答；podman：systemctl enable --now podman.socket",
        "no container engine answers at {socket}; for podman: systemctl enable --now podman.socket",
    ),
    "join_packages": ("缺少软件包：{packages}", "packages are missing: {packages}"),
    "join_port": (
        "端口 {port} 已被占用：停止占用它的程序，或用 {flag} 换一个端口",
        "port {port} is taken: stop what listens there, or choose another with {flag}",
    ),
    "join_deploy_away": (
        "连不上 Deploy：检查 --deploy-url、Deploy 的 deploy.server.host 与防火墙",
        "Deploy can't be reached: check --deploy-url, Deploy's deploy.server.host and firewalls",
    ),
    "join_no_token": (
        "没有加入令牌：由管理员执行 funai nodes token，再用 FUNAI_JOIN_TOKEN 或标准输入给出",
        "no join token: an admin makes one with funai nodes token; give it by FUNAI_JOIN_TOKEN or standard input",
    ),
    "join_no_agent_token": (
        "Deploy 没有设置 deploy.runtime-agent.token：请在环境变量 RUNTIME_AGENT_TOKEN 中给出 Runner 所用的值",
        "Deploy has no deploy.runtime-agent.token: give the value that the Runners use in RUNTIME_AGENT_TOKEN",
    ),
    "join_no_systemd": (
        "这台机器没有 systemd：加 --foreground 在前台运行 agent，由你的进程管理器负责",
        "no systemd here: --foreground runs the agent in the foreground, for a supervisor of your own",
    ),
    "join_known": (
        "已是节点 {node}，凭据有效：不需要令牌",
        "this is node {node} already, with a good credential: no token is needed",
    ),
    "join_traded": ("已登记为节点 {node}（编号 {id}）", "registered as node {node} (id {id})"),
    "join_written": ("设置已写入 {file}（0600）", "settings are in {file} (0600)"),
    "join_started": (
        "runtime-agent 已启动，等待 Deploy 收到心跳",
        "the runtime-agent is started; waiting until Deploy hears of it",
    ),
    "join_heard": ("Deploy 已收到心跳：节点 {node} 为 {health}", "Deploy hears of node {node}: {health}"),
    "join_silent": (
        "{seconds} 秒内 Deploy 没有收到心跳：查看 journalctl -u fun-ai-studio-runtime",
        "Deploy heard nothing within {seconds} s: see journalctl -u fun-ai-studio-runtime",
    ),
    "join_ended": (
        "runtime-agent 已退出（状态 {code}），见上面的输出",
        "the runtime-agent ended with status {code}; see its output above",
    ),
    "join_next": (
        "下一步：让入口（edge 或 Nginx）能访问 {gateway}，Deploy 与 Runner 能访问 {agent}；用 funai nodes list 查看",
        "next: let the edge (or Nginx) reach {gateway}, Deploy and the Runners {agent}; funai nodes list shows the node",
    ),
    "join_would": ("将写入 {file}：{keys}", "would write {file}: {keys}"),
    "leave_ask": (
        "节点 {node} 退出平台？agent 与 HAProxy 会停止",
        "Node {node} leaves the platform; agent and HAProxy stop. Go on?",
    ),
    "leave_running": (
        "{agent} 仍在 agent 的端口上运行：请先在你的进程管理器中停止它",
        "{agent} still listens at the agent's port: stop it in its supervisor first",
    ),
    "leave_unknown": ("{file} 中没有节点设置：这台机器没有加入过", "{file} sets no node: this machine has not joined"),
    "left": (
        "节点 {node} 已退出，其上有 {count} 个应用；{file} 已删除",
        "node {node} has left with {count} apps; {file} is removed",
    ),
    "left_before": (
        "Deploy 已不认识节点 {node}：只在本机清理",
        "Deploy does not know node {node} any more: cleaning up here alone",
    ),
}
