"""What the command line itself says, in Chinese and English. Pure."""

from __future__ import annotations

from funai.i18n import nodes

PHRASES: dict[str, tuple[str, str]] = {
    **nodes.PHRASES,
    "error": ("错误", "error"),
    "next": ("下一步", "next"),
    "logged_in": ("已登录 {server}，用户 {user}", "logged in to {server} as {user}"),
    "logged_out": ("已退出 {server}", "logged out of {server}"),
    "repo_pending": (
        "还没有准备好：代码托管服务没有应答，平台会继续重试",
        "not made yet: its host does not answer, and the platform goes on trying",
    ),
    "harbor_login": (
        "Harbor 拒绝了该登录：用 --username 和 HARBOR_PASSWORD 给出系统管理员或项目管理员",
        "Harbor refuses this login: give an admin of the system or of the project by --username and HARBOR_PASSWORD",
    ),
    "harbor_no_password": (
        "没有终端可输入密码：设置环境变量 HARBOR_PASSWORD",
        "there is no terminal to ask for the password on: set HARBOR_PASSWORD",
    ),
    "harbor_bad_url": ("{url} 不是 http:// 或 https:// 地址", "{url} is not an http:// or https:// address"),
    "harbor_made": ("已创建 {what}", "made: {what}"),
    "harbor_would_make": ("将创建 {what}", "would make: {what}"),
    "harbor_changed": ("已修改 {what}", "changed: {what}"),
    "harbor_would_change": ("将修改 {what}", "would change: {what}"),
    "harbor_kept": ("已存在，保持不变：{what}", "is there, left as it is: {what}"),
    "harbor_danger": (
        "标签保留策略（{rules}）会删除平台仍需要的镜像：加 --retention off 停用，或 --retention ours 改为全部保留",
        "the retention policy ({rules}) deletes images that are needed: --retention off disables it, ours keeps all",
    ),
    "harbor_no_wish": (
        "该 Harbor 不允许机器人读取保留策略，平台无法检查它",
        "this Harbor lets no robot read the retention policy, so the platform can't watch it",
    ),
    "harbor_secret_kept": (
        "{what}：密钥不会再次显示；--rotate 生成新的，旧的立即失效",
        "{what}: its secret isn't shown again; --rotate makes a new one, and the old one ends at once",
    ),
    "harbor_where": ("写入 {where}：", "for {where}:"),
    "harbor_written": ("已写入 {path}（仅所有者可读）", "written: {path} (its owner alone may read it)"),
    "not_logged_in": ("没有登录 {server}", "not logged in to {server}"),
    "registered": ("已注册 {user}", "registered {user}"),
    "password_changed": (
        "密码已修改，其他登录和 API 密钥已失效（脚本需要时：funai api-key）",
        "the password is changed; every other login and the API key have ended (for scripts: funai api-key)",
    ),
    "api_key_once": (
        "只显示这一次；之前的密钥已失效。脚本里用 FUNAI_API_KEY",
        "shown this once, and the key before it has ended; scripts take it from FUNAI_API_KEY",
    ),
    "password_stdin_two": (
        "标准输入须有两行：旧密码和新密码",
        "standard input must have two lines: the old password and the new one",
    ),
    "ask_user": ("用户名", "user"),
    "ask_password": ("密码", "password"),
    "user_missing": (
        "没有给出用户名，这里也不是能输入的终端：用 --user 给出",
        "no user name, and no terminal to ask for one: give it with --user",
    ),
    "password_stdin_empty": ("标准输入里没有密码", "no password on standard input"),
    "password_no_tty": (
        "没有终端可输入密码：用 --password-stdin",
        "there is no terminal to ask for the password on: use --password-stdin",
    ),
    "column_bad": (
        "--column {text}：应为 字段=列名，例如 user_name=account",
        "--column {text}: is not FIELD=COLUMN, such as user_name=account",
    ),
    "db_bad": ("{what} 的值不可用：funai db --help", "{what}: that value is not usable; see funai db --help"),
    "no_db": (
        "应用还没有数据库（平台提供：{kinds}）：funai db create",
        "the app has no database (this platform has: {kinds}): funai db create",
    ),
    "db_created": (
        "数据库已就绪；应用 {app} 在下次部署或启动时得到它的地址",
        "the database is there; app {app} gets its address at its next deploy or start",
    ),
    "db_names": ("应用得到的变量：{names}", "the app gets it as {names}"),
    "db_rotated": (
        "密码已更换；正在运行的容器用的是旧密码，请重新部署，或停止后再启动应用 {app}",
        "the password is changed; the running container has the old one: deploy app {app} again, or stop and start it",
    ),
    "db_drop_ask": (
        "删除应用 {app}（id {id}）的数据库及其全部数据？备份会保留",
        "drop the database of app {app} (id {id}) with all its data? Backups stay.",
    ),
    "db_dropped": ("已删除：{names}", "dropped: {names}"),
    "db_backed_up": ("已备份：{name}（{size}）", "backed up: {name} ({size})"),
    "db_restore_ask": (
        "用备份替换应用 {app}（id {id}）数据库的全部内容？",
        "replace all that the database of app {app} (id {id}) holds by the backup?",
    ),
    "db_restored": ("已恢复到应用 {app}", "restored into app {app}"),
    "db_read_only": ("超过配额，只读", "over its quota: read only"),
    "orphans_ask": (
        "删除已无主超过 {hours} 小时的数据库、容器、代码仓库和镜像？",
        "delete databases, containers, repositories and images that have looked orphaned for {hours} hours?",
    ),
    "no_orphans": ("没有无主的数据库、容器、代码仓库或镜像", "no orphaned databases, containers, repositories or images"),
    "orphan": ("无主", "orphaned"),
    "orphan_waits": ("无主，宽限期内", "orphaned, within the grace"),
    "orphan_deleted": ("已删除", "deleted"),
    "orphan_failed": ("失败", "failed"),
    "no_keys": ("还没有 SSH 公钥：funai keys add", "no SSH keys yet: funai keys add"),
    "key_added": ("已添加公钥 {title}（{fingerprint}）", "added key {title} ({fingerprint})"),
    "key_removed": ("已删除公钥 {id}", "removed key {id}"),
    "key_missing": (
        "找不到公钥 {path}。生成一个：ssh-keygen -t ed25519，然后再运行 funai keys add",
        "no public key at {path}. Make one: ssh-keygen -t ed25519, then run funai keys add again",
    ),
    "key_offer": ("没有找到公钥 {path}。现在生成？", "there is no public key at {path}. Make one now?"),
    "key_private_read": (
        "标准输入里是私钥，绝不要交出去；请给出 .pub 文件的内容",
        "standard input has a private key, never hand it out; give what is in the .pub file",
    ),
    "key_private": (
        "{path} 是私钥，绝不要交出去；请给出 {path}.pub",
        "{path} is a private key, never hand it out; give {path}.pub",
    ),
    "no_apps": ("还没有应用：funai apps create NAME", "no apps yet: funai apps create NAME"),
    "app_created": ("已创建应用 {name}（id {id}）", "created app {name} (id {id})"),
    "app_next_push": ("推送代码并部署：", "push your code and deploy it:"),
    "app_linked": ("当前目录已关联应用 {id}", "this folder now stands for app {id}"),
    "app_delete_ask": (
        "删除应用 {name}（id {id}）：容器、镜像、仓库和数据都会删除。继续？",
        "delete app {name} (id {id}) with its container, images, repository and data?",
    ),
    "app_deleted": ("已删除应用 {name}（id {id}）", "deleted app {name} (id {id})"),
    "ask_no_tty": ("没有终端可确认：加上 --yes", "there is no terminal to confirm on: add --yes"),
    "aborted": ("已放弃", "nothing was done"),
    "no_target": (
        "不知道是哪个应用：给出 APP（id 或名字），或在有 funai 远端或 .funai 文件的目录里运行",
        "which app? Name it (id or name), or run this in a folder with a funai remote or a .funai file",
    ),
    "name_ambiguous": ("有多个应用叫 {name}，请用 id：{ids}", "several apps are called {name}; use an id: {ids}"),
    "no_folder": ("当前目录已不存在：请先 cd 到别处", "the current folder is gone: cd to another one first"),
    "not_utf8": ("参数或输入不是 UTF-8 文本", "an argument or the input isn't UTF-8 text"),
    "unreachable": ("连不上 {server}：{detail}", "{server} can't be reached: {detail}"),
    "unreachable_proxied": (
        "经代理 {proxy}（{variable}）连不上 {server}：{detail}",
        "{server} can't be reached through the proxy {proxy} ({variable}): {detail}",
    ),
    "proxy_mend": (
        "代理可用吗？不需要代理时把 {host} 加进 NO_PROXY，或清除 {variable}",
        "does the proxy work? If {host} needs none, add it to NO_PROXY, or unset {variable}",
    ),
    "login_there": ("运行 funai login --server {server} 登录", "run: funai login --server {server}"),
    "server_from_option": (
        "{server} 来自 --server：对吗？平台已启动吗（funai up）？",
        "{server} is from --server: is it right, and is the platform up (funai up)?",
    ),
    "server_from_variable": (
        "{server} 来自环境变量 FUNAI_SERVER：对吗？平台已启动吗（funai up）？",
        "{server} is from the variable FUNAI_SERVER: is it right, and is the platform up (funai up)?",
    ),
    "server_from_login": (
        "{server} 是上次 funai login 记在 {file} 里的：还对吗？平台已启动吗（funai up）？",
        "{server} is from the last funai login, kept in {file}: is it still right, and is the platform up (funai up)?",
    ),
    "server_from_default": (
        "没有指定平台地址，用的是本机默认 {server}：先 funai up，或用 funai login --server URL 指定",
        "no platform was named, so {server} was tried: start one with funai up, or name yours: funai login --server URL",
    ),
    "not_funai": (
        "{server} 有应答（HTTP {status}），但不是 FunAI 的 API",
        "{server} answers (HTTP {status}), but it is no FunAI API",
    ),
    "server_form": ("API 的地址形如 http://主机:8080", "an API's address looks like http://host:8080"),
    "server_without_path": ("地址不带路径：试试 {root}", "the address has no path: try {root}"),
    "server_redirects": ("{server} 转向 {target}", "{server} redirects to {target}"),
    "server_redirects_mend": ("改用 --server {target}", "use --server {target}"),
    "server_behind_proxy": (
        "{server} 应答 HTTP {status}，但不是 FunAI 的 API 说的：它前面的代理连不上 API",
        "{server} answers HTTP {status}, but not as a FunAI API does: a proxy in front of it can't reach it",
    ),
    "key_refused": ("{server} 不认 FUNAI_API_KEY 里的密钥", "{server} does not know the key in FUNAI_API_KEY"),
    "key_refused_mend": (
        "unset FUNAI_API_KEY 后用登录，或用 funai api-key 换一个新密钥",
        "unset FUNAI_API_KEY to use your login, or set it to a new key from: funai api-key",
    ),
    "no_home": (
        "本账号没有主目录：设置 HOME，或用 FUNAI_SERVER 和 FUNAI_API_KEY",
        "this account has no home folder: set HOME, or use FUNAI_SERVER and FUNAI_API_KEY",
    ),
    "usage_none": ("这段时间没有数据", "nothing was measured in this time"),
    "no_jobs": ("还没有任务：funai deploy", "no jobs yet: funai deploy"),
    "no_deploys": ("没有部署中的应用：funai deploy APP", "nothing is deployed yet: funai deploy APP"),
    "no_active_job": ("没有进行中的任务", "there is no job under way"),
    "no_releases": ("还没有成功的部署：funai deploy", "no successful deploys yet: funai deploy"),
    "no_env": ("没有环境变量：funai env set NAME=VALUE", "no variables yet: funai env set NAME=VALUE"),
    "env_saved": ("已保存；下次部署时生效：funai deploy {app}", "saved; in force from the next deploy: funai deploy {app}"),
    "env_at_build": (
        "{names}：打包工具在构建时读取，但构建看不到它们；请再执行一次并加上 --build，然后重新部署",
        "{names}: bundlers read these when they build, and builds don't see them; set them again with --build, then deploy",
    ),
    "env_refused": (
        "有 {count} 处不能用，什么都没有设置：",
        "{count} of them can't be used, and nothing was set:",
    ),
    "env_where": ("{file} 第 {line} 行：{why}", "{file}, line {line}: {why}"),
    "env_line": ("不是 NAME=VALUE", "not NAME=VALUE"),
    "env_encoding": (
        "{file} 第 {line} 行不是 UTF-8 文本：请把文件存为 UTF-8",
        "{file}, line {line}: not UTF-8 text; save the file as UTF-8",
    ),
    "app_twice": (
        "应用给了两次，且不一样：{one} 和 {other}",
        "the app is given twice, and differently: {one} and {other}",
    ),
    "env_bad": ("{text}：须形如 NAME=VALUE", "{text}: must look like NAME=VALUE"),
    "sha256_repository": (
        "这是 SHA-256 仓库，平台只支持 SHA-1 仓库",
        "this is a SHA-256 repository; the platform takes SHA-1 repositories only",
    ),
    "sha256_mend": (
        "在新目录 git init --object-format=sha1，拷入文件后提交，再推送",
        "in a new folder: git init --object-format=sha1, copy the files there, commit and push",
    ),
    "push_failed": ("git push 失败（退出码 {code}），原因见上", "git push failed (exit status {code}); its reason is above"),
    "push_by_hand": (
        "在终端里运行一次 {command}：ssh 会问主机密钥和口令；funai doctor 检查公钥",
        "run this once in a terminal, where ssh can ask its questions: {command}; funai doctor checks your key",
    ),
    "job_created": ("任务 {job}：部署 {app}", "job {job}: deploying {app}"),
    "job_detached": (
        "任务 {job} 继续进行。查看：funai status {app}；取消：funai cancel {job}",
        "job {job} goes on. Watch it: funai status {app}; cancel it: funai cancel {job}",
    ),
    "job_cancelled": ("任务 {job} 已取消", "job {job} is cancelled"),
    "job_cancelling": ("任务 {job} 正在取消", "job {job} is being cancelled"),
    "job_succeeded": ("部署成功，用时 {time}", "deployed in {time}"),
    "job_failed": ("部署失败（{code}）", "the deploy failed ({code})"),
    "reconnecting": ("连接中断，正在重试：{detail}", "connection lost, trying again: {detail}"),
    "stopped": ("已停止 {app}；重新启动：funai start {id}", "stopped {app}; bring it back with: funai start {id}"),
    "started": ("已启动 {app}", "started {app}"),
    "log_empty": ("日志为空", "the log is empty"),
    "not_ready": ("应用 {app} 没有在运行，没有地址可打开", "app {app} is not running; there is no address to open"),
    "serves_after_failure": ("READY；最近一次部署失败", "READY; the latest deploy failed"),
    "serves_meanwhile": ("DEPLOYING；之前的版本仍在线", "DEPLOYING; the earlier release serves meanwhile"),
    "serves_since": ("版本 {release}，自 {since}", "release {release} since {since}"),
    "opened": ("已在浏览器打开 {url}", "opened {url} in the browser"),
    "phase_QUEUED": ("排队", "queued"),
    "phase_CLONE": ("拉取代码", "clone"),
    "phase_BUILD": ("构建", "build"),
    "phase_PUSH": ("推送镜像", "push"),
    "phase_DEPLOY": ("上线", "deploy"),
    "queue_position": ("前面还有 {ahead} 个任务", "{ahead} ahead of it"),
    "queue_next": ("下一个就是", "next in line"),
    "attempt": ("第 {n} 次尝试", "attempt {n}"),
    "done": ("完成", "done"),
    "skipped": ("跳过", "skipped"),
    "failed": ("失败", "failed"),
    "wrote": ("写入 {path}", "wrote {path}"),
    "kept": ("已存在，保留 {path}（--force 覆盖）", "kept {path}, it is there already (--force replaces it)"),
    "check_clean": ("符合构建契约", "the repository keeps the build contract"),
    "init_no_package": (
        "没有 {path}：funai init 只会写 Node 应用和静态页面（index.html）的 Dockerfile，其他应用请自己写一个",
        "there is no {path}: funai init writes the Dockerfile of Node apps and plain pages; write your own for anything else",
    ),
    "no_nodes": ("还没有运行节点上报心跳", "no runtime node has reported yet"),
    "crash_looping": ("反复退出", "crash looping"),
    "last_exit": ("最近一次退出码 {exit}", "last exit status {exit}"),
    "comma": ("，", ", "),
    "node_removed": ("节点 {node} 已删除，其上有 {count} 个应用", "node {node} is removed; it had {count} apps"),
    "no_credentials": ("还没有单独的凭据，都用共享的", "no credentials yet: all use what is shared"),
    "credential_made": ("凭据 {id}（{name}），只显示这一次：", "credential {id} of {name}, shown this once:"),
    "credential_revoked": ("凭据 {id} 已吊销", "credential {id} is revoked"),
    "no_placements": ("节点 {node} 上没有应用", "no app is placed on node {node}"),
    "no_runners": ("还没有 Runner 来过", "no runner has called yet"),
    "reassigned": (
        "应用 {app} 已改到节点 {node}，下次部署时搬过去",
        "app {app} belongs to node {node} now; its next deploy goes there",
    ),
    "moving": (
        "应用 {app} 正搬往节点 {node}（任务 {job}），在那里就绪之前由原节点提供服务",
        "app {app} moves to node {node} (job {job}); it is served where it was until it is ready there",
    ),
    "drain_begun": (
        "{count} 个运行中的应用正逐个搬走（迁出 {id}）；进度：funai nodes drains {id}",
        "{count} running apps move away one after the other (drain {id}); progress: funai nodes drains {id}",
    ),
    "drain_progress": (
        (
            "迁出 {id}，节点 {node}，{state}：{moved}/{total} 已搬走，"
            "{moving} 个进行中，{waiting} 个等待，{failed} 个失败，{cancelled} 个取消"
        ),
        (
            "drain {id} of node {node}, {state}: {moved}/{total} moved, "
            "{moving} under way, {waiting} waiting, {failed} failed, {cancelled} cancelled"
        ),
    ),
    "no_drains": ("没有迁出过节点", "no node was drained yet"),
    "drain_off": ("迁出 {id} 已取消；进行中的会完成", "drain {id} is cancelled; moves under way end by themselves"),
    "node_held": (
        "{node}：失联已久，但超过半数节点同时失联，其应用没有搬走",
        "{node}: silent beyond the grace, but more than half of the nodes are silent: its apps stay",
    ),
    "drained_count": (
        "节点 {node}：改派了 {moved} 个应用（下次部署时搬走）",
        "node {node}: {moved} apps belong elsewhere now (their next deploy goes there)",
    ),
    "drained": (
        "节点 {node}：改派了 {moved} 个应用（下次部署时搬走），还剩 {remaining} 个",
        "node {node}: {moved} apps belong elsewhere now (their next deploy goes there), {remaining} are left",
    ),
    "node_enabled": ("节点 {node} 已启用，接收新应用", "node {node} is enabled and takes new apps"),
    "node_disabled": (
        "节点 {node} 已停用，不再接收新应用；已有的照常运行",
        "node {node} is disabled and takes no new apps; what it runs stays",
    ),
    "yes": ("是", "yes"),
    "no": ("否", "no"),
    "just_now": ("刚刚", "just now"),
    "min_ago": ("{n} 分钟前", "{n} min ago"),
    "h_ago": ("{n} 小时前", "{n} h ago"),
    "d_ago": ("{n} 天前", "{n} d ago"),
    "doc_no_config": ("{file}：还没有", "{file}: none yet"),
    "doc_open_config": ("{file}：权限 {mode}，别人能读到你的令牌", "{file}: mode {mode}, others can read your token"),
    "doc_server_mend": ("funai up，或 funai login --server URL", "funai up, or funai login --server URL"),
    "doc_no_key": ("{folder} 里没有", "none in {folder}"),
    "doc_no_key_mend": ("ssh-keygen -t ed25519，然后 funai keys add", "ssh-keygen -t ed25519, then funai keys add"),
    "doc_key_unknown": ("{file} 没有登记：推送会被拒绝", "{file} is not registered: pushes are refused"),
    "doc_key_known": ("{file} 已登记", "{file} is registered"),
    "doc_git_away": ("连不上 {where}", "{where} can't be reached"),
    "doc_git_away_mend": ("中间有防火墙吗？请询问管理员", "is a firewall in between? ask the operator"),
    "doc_missing": ("没有安装 {program}", "{program} is not installed"),
    "doc_no_engine": ("podman 和 docker 都没有应答", "neither podman nor docker answers"),
    "doc_no_engine_mend": ("make setup，或 apt-get install podman", "make setup, or apt-get install podman"),
    "doc_sandbox_mend": (
        "在此之前 Runner 不构建；单个可信用户可设 RUNNER_SANDBOX=off",
        "until then the Runner builds nothing; a single trusted user may set RUNNER_SANDBOX=off",
    ),
    "doc_sandbox_off": (
        "RUNNER_SANDBOX=off：构建可见所有应用的镜像与本机网络",
        "RUNNER_SANDBOX=off: builds see every app's images and this host's network",
    ),
    "doc_sandbox_ok": ("构建可以彼此隔离", "builds can be kept apart"),
    "doc_port_taken": ("有程序在应答（这是 {name} 的端口）", "something answers there ({name}'s port)"),
    "doc_port_taken_mend": (
        "如果那就是本平台，没有问题；否则用 funai up 的选项换一个",
        "fine when that is the platform itself; else choose another with an option of funai up",
    ),
    "doc_dns_port": (
        "UDP 53 端口被 {holder} 在所有地址上占用：Podman 的应用每次解析域名要等 5 秒",
        "UDP port 53 is held by {holder} on all addresses: with Podman each lookup of an app takes 5 s",
    ),
    "doc_dns_port_mend": ("让它只监听 127.0.0.1 或本机地址", "let it listen on 127.0.0.1, or on this host's own address, only"),
    "doc_dns_port_free": ("没有程序在所有地址上占用它", "nothing holds it on all addresses"),
    "doc_port_free": ("空闲，可给 {name} 用", "free for {name}"),
    "domain_added": ("域名 {name} 已加到应用 {app}", "domain {name} is at app {app}"),
    "domain_removed": ("域名 {name} 已从应用 {app} 移除", "domain {name} is no longer at app {app}"),
    "domain_under_way": (
        "{name} 正在准备中；稍后查看：funai domains list",
        "{name} is being brought into service; look later: funai domains list",
    ),
    "domain_words": (
        "请给出域名，前面可加应用：[APP] DOMAIN",
        "give the domain, with the app before it if need be: [APP] DOMAIN",
    ),
    "no_domains": ("还没有自有域名：funai domains add shop.example.com", "no domains yet: funai domains add shop.example.com"),
    "upgraded": ("数据库已是最新：{rooms}", "the database is up to date: {rooms}"),
    "fleet_mend": ("检查 API 的 deploy-proxy.* 与该服务的日志", "look at the API's deploy-proxy.* and that service's log"),
    "fleet_nodes_mend": (
        "在该节点上运行 funai doctor --local；检查容器引擎、DEPLOY_BASE_URL、DEPLOY_NODE_TOKEN 与 runtime-agent 的日志",
        "run funai doctor --local on that node; look at its engine, DEPLOY_BASE_URL, DEPLOY_NODE_TOKEN and agent's log",
    ),
    "fleet_runners_mend": (
        "检查 Runner 的 DEPLOY_BASE_URL、RUNNER_TOKEN 与日志",
        "look at the Runner's DEPLOY_BASE_URL and RUNNER_TOKEN, and its log",
    ),
    "fleet_gateway_mend": ("检查该节点的网关与前置 Nginx", "look at that node's gateway and the Nginx in front of it"),
    "fleet_no_release": ("没有可回滚的版本（旧 Runner 不报告摘要）", "no release to go back to (older Runners tell no digest)"),
    "imported": ("已导入 {taken} 条，已存在 {known} 条", "{taken} taken, {known} were here already"),
    "given_back": (
        "已恢复升级前的表：{tables}；升级后的表保留为 …_funai",
        "these tables have the form of before again: {tables}; those of this version stay as …_funai",
    ),
}


def phrase(name: str, language: str, /, **known: object) -> str:
    """The phrase in ``zh`` or ``en`` with its placeholders filled."""
    zh, en = PHRASES[name]
    return (en if language == "en" else zh).format(**known)
