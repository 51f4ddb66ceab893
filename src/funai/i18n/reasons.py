"""Messages for people by reason, in Chinese (default) and English. Placeholders are ``str.format`` fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from funai.i18n import nodes


@dataclass(frozen=True, slots=True)
class Words:
    """A placeholder's value that is itself words for people, in both languages."""

    zh: str
    en: str


MESSAGES: dict[str, tuple[str, str]] = {
    **nodes.REASONS,
    # general
    "OK": ("成功", "ok"),
    "INTERNAL": ("服务内部错误，请凭 traceId 联系管理员", "internal error; give the traceId to the operator"),
    "BAD_INPUT": ("请求参数有误：{detail}", "bad request: {detail}"),
    "BAD_JSON": ("请求体不是合法的 JSON", "the request body is not valid JSON"),
    "UNAUTHENTICATED": ("请先登录", "please log in first"),
    "BAD_CREDENTIALS": ("用户名或密码错误", "wrong user name or password"),
    "TOKEN_EXPIRED": ("登录已过期，请重新登录", "the login has expired; log in again"),
    "FORBIDDEN": ("没有权限：需要管理员账号", "not allowed: this needs an admin"),
    "IP_FORBIDDEN": ("来源地址不在允许列表中", "your address is not on the allow-list"),
    "NOT_FOUND": ("不存在", "not found"),
    "METHOD_NOT_ALLOWED": ("不支持该请求方法", "method not allowed"),
    "CONFLICT": ("状态冲突，请刷新后重试", "conflict; refresh and try again"),
    "TOO_LARGE": ("内容过大，上限 {limit}", "too large; the limit is {limit}"),
    "TOO_MANY": ("请求过于频繁，请 {seconds} 秒后再试", "too many requests; try again in {seconds} s"),
    "CALLEE_FAILED": ("{service} 调用失败：{detail}", "{service} failed: {detail}"),
    "UNAVAILABLE": ("服务暂不可用，请稍后再试", "temporarily unavailable; try again soon"),
    # accounts
    "USER_NAME_TAKEN": ("用户名已被使用", "that user name is taken"),
    "USER_NAME_INVALID": (
        "用户名须为 3–32 位字母、数字、_ 或 -，且以字母或数字开头",
        "a user name has 3–32 letters, digits, _ or -, and starts with a letter or digit",
    ),
    "PASSWORD_WEAK": ("密码长度须为 8–128 位", "a password has 8–128 characters"),
    "REGISTRATION_CLOSED": ("本平台未开放注册", "registration is closed on this platform"),
    "KEY_INVALID": ("不是合法的 SSH 公钥：{detail}", "not a usable SSH public key: {detail}"),
    "KEY_TAKEN": ("该公钥已被注册", "that key is already registered"),
    "KEY_LIMIT": ("公钥数量已达上限 {limit}", "at most {limit} keys per user"),
    "KEY_NOT_FOUND": ("公钥不存在", "no such key"),
    "USER_NOT_FOUND": ("用户不存在", "no such user"),
    "USER_DISABLED": ("账号已被停用，请联系管理员", "the account is disabled; ask the operator"),
    "LAST_ADMIN": ("不能停用最后一个管理员", "the last admin can't be disabled"),
    # apps' own domains
    "DOMAIN_INVALID": ("{name} 不能用作域名：{why}", "{name} can't be a domain: {why}"),
    "DOMAIN_RESERVED": ("{name} 属于平台自己；请用你自己的域名", "{name} is the platform's own; give a domain of yours"),
    "DOMAIN_TAKEN": (
        "{name} 已被其他用户使用；若域名是你的，请联系管理员",
        "{name} is in use by another user; if the domain is yours, ask the operator",
    ),
    "DOMAIN_OTHER_APP": (
        "{name} 已用于你的应用 {app}；请先从那里移除",
        "{name} belongs to your app {app}; remove it there first",
    ),
    "DOMAIN_LIMIT": ("每个应用最多 {limit} 个域名", "at most {limit} domains per app"),
    "DOMAIN_NOT_FOUND": ("这个应用没有域名 {name}", "the app has no domain {name}"),
    "DOMAIN_NOT_DEPLOYED": (
        "应用还没有部署过；第一次部署后域名才会生效",
        "the app was never deployed; its domains come into service after its first deploy",
    ),
    "DOMAIN_DNS_MISSING": (
        "{name} 没有地址记录；请在域名服务商处添加指向 {expected} 的 A 记录",
        "{name} has no address; add an A record to {expected} at your DNS provider",
    ),
    "DOMAIN_DNS_ELSEWHERE": (
        "{name} 指向 {found}；请在域名服务商处把它的 A/AAAA 记录改为 {expected}",
        "{name} points to {found}; change its A/AAAA record to {expected} at your DNS provider",
    ),
    "DOMAIN_DNS_UNANSWERED": (
        "查询 {name} 时域名服务器没有应答；平台会自动再试",
        "no DNS server answered for {name}; it is tried again",
    ),
    "DOMAIN_CHALLENGE_FAILED": (
        "证书机构没能验证 http://{name}/（80 端口须能到达本平台）：{detail}",
        "the certificate authority could not verify http://{name}/ (its port 80 must reach this platform): {detail}",
    ),
    "DOMAIN_RATE_LIMITED": (
        "证书机构限制了申请次数，平台会稍后再试：{detail}",
        "the certificate authority limits how often it is asked; it is tried again later: {detail}",
    ),
    "DOMAIN_AUTHORITY_REFUSED": ("证书机构拒绝了 {name}：{detail}", "the certificate authority refused {name}: {detail}"),
    "DOMAIN_AUTHORITY_AWAY": (
        "证书机构没有应答（{detail}）；平台会自动再试，已有的证书继续使用",
        "the certificate authority did not answer ({detail}); it is tried again, and a certificate that is there stays in use",
    ),
    "DOMAIN_NO_CERTIFICATE": (
        "平台没有 {name} 的证书，也没有配置证书机构；请管理员设置 gateway.acme-directory-url，或把证书放进 gateway.tls-dir",
        "there is no certificate for {name}, and no authority to ask; the operator sets gateway.acme-directory-url, or puts one into gateway.tls-dir",
    ),
    "DOMAIN_NOT_SUPPORTED": (
        "应用所在节点的网关现在不能提供域名 {name}；请联系管理员",
        "the gateway of the app's node can't serve {name} now; ask the operator",
    ),
    "DOMAINS_NEED_NEWER_DEPLOY": (
        "Deploy 服务的版本还不支持自有域名；请管理员升级",
        "the Deploy service is too old for domains; the operator upgrades it",
    ),
    # apps and quotas
    "APP_NOT_FOUND": ("应用不存在", "no such app"),
    "APP_NAME_INVALID": (
        "应用名须为 1–64 个可见字符，不含控制字符、不可见字符和改变文字方向的字符",
        "an app name has 1–64 visible characters, and none that control, hide or turn text around",
    ),
    "APP_NAME_TAKEN": ("你已有同名应用", "you already have an app of that name"),
    "APP_DISABLED": ("应用已被停用，请联系管理员", "the app is disabled; ask the operator"),
    "APP_DEPLOYING": ("应用正在部署中，请等待完成或先取消", "the app is being deployed; wait for it or cancel it first"),
    "APP_NOT_RUNNING": ("应用未在运行", "the app is not running"),
    "APP_CRASH_LOOPING": (
        "应用反复退出，平台在不断重启它{how}；查看它的输出：funai logs {app} --runtime",
        "the app keeps ending and is started again and again{how}; see what it prints: funai logs {app} --runtime",
    ),
    "APP_NEVER_DEPLOYED": ("应用还没有成功部署过", "the app was never deployed successfully"),
    "QUOTA_APPS": ("应用数量已达上限 {limit}，请先删除不用的应用", "at most {limit} apps per user; delete one first"),
    "QUOTA_RUNNING_APPS": (
        "同时运行的应用已达上限 {limit}（{apps}），请先停止一个",
        "at most {limit} running apps per user ({apps}); stop one first",
    ),
    "IMAGE_FORBIDDEN": (
        "镜像 {image} 不在该应用自己的仓库或允许的命名空间内",
        "image {image} is neither in this app's own repository nor in an allowed namespace",
    ),
    "RELEASE_NOT_FOUND": ("没有可回滚的版本", "no such release to go back to"),
    "IDEMPOTENCY_MISMATCH": (
        "同一个 Idempotency-Key 已用于不同的请求",
        "that Idempotency-Key was used for a different request",
    ),
    "IDEMPOTENCY_KEY_INVALID": ("Idempotency-Key 须为 1–200 个可见字符", "an Idempotency-Key has 1–200 visible characters"),
    "BASE_PATH_FORBIDDEN": (
        "basePath 只能是 {own}，不能更深；请省略它",
        "basePath can only be {own}, and no deeper; leave it out",
    ),
    "REPO_FORBIDDEN": ("repoSshUrl 须为该应用自己的仓库 {own}", "repoSshUrl must be this app's own repository, {own}"),
    "REGISTRY_FORBIDDEN": ("不允许指定其他镜像仓库或命名空间", "another registry or namespace is not allowed"),
    "SOURCE_MISSING": ("平台未启用 Git 构建，请指定 image", "building from Git is switched off here; name an image"),
    "ENV_LIMIT": (
        "环境变量过多或过大：最多 {count} 个，共 {bytes} 字节",
        "too many or too large variables: at most {count}, {bytes} bytes in all",
    ),
    "ENV_DISABLED": ("未启用环境变量（缺少 funai.env.key-file）", "variables are switched off (funai.env.key-file is not set)"),
    "JOB_VANISHED": ("部署任务记录已丢失", "the deploy job's record is gone"),
    "REPO_HOST_FAILED": ("代码仓库还没有准备好：{detail}", "the repository could not be made or changed: {detail}"),
    "GIT_ACCOUNTS_OFF": (
        "平台没有使用 Gitea（gitea.enabled），无法关联账号",
        "this platform uses no Gitea (gitea.enabled), so there are no accounts to link",
    ),
    "GIT_ACCOUNT_INVALID": ("不能关联 Gitea 账号 {account}：{detail}", "Gitea account {account} can't be linked: {detail}"),
    "GIT_ACCOUNT_TAKEN": ("该 Gitea 账号已关联到其他用户", "that Gitea account is linked to another user"),
    # git
    "GIT_KEY_UNKNOWN": (
        "该公钥未注册：请先执行 funai keys add 注册公钥",
        "this key is not registered: add it with `funai keys add`",
    ),
    "GIT_REPO_UNKNOWN": ("仓库不存在或无权访问", "no such repository, or not yours"),
    "GIT_READ_ONLY": ("该公钥只读", "this key may only read"),
    # jobs
    "JOB_NOT_FOUND": ("任务不存在", "no such job"),
    "JOB_FINAL": ("任务已结束（{status}）", "the job has already ended ({status})"),
    "LEASE_LOST": (
        "租约已失效：任务已由其他执行者接手或已结束",
        "lease lost: another runner or attempt holds the job, or it ended",
    ),
    "TRANSITION_REFUSED": ("不允许从 {source} 变更为 {target}", "a job may not go from {source} to {target}"),
    "LOG_GAP": ("日志偏移不连续，应为 {expected}", "log offset leaves a gap; expected {expected}"),
    # placement
    "NODE_NOT_FOUND": ("节点不存在", "no such node"),
    "CREDENTIAL_OF_ANOTHER": (
        "这个凭据属于 {owner}，不能以 {name} 的名义使用；请为 {name} 单独签发（funai nodes grant）",
        "this credential was made for {owner} and can't be used as {name}; make one for {name} (funai nodes grant)",
    ),
    "CREDENTIAL_NOT_FOUND": ("凭据不存在", "no such credential"),
    "CREDENTIAL_LIMIT": ("凭据数量已达上限 {limit}，请先吊销不用的", "at most {limit} credentials; revoke unused ones first"),
    "NODE_ALIVE": (
        "节点 {node} 仍在发送心跳：先停止其 runtime-agent（force=true 可强制删除）",
        "node {node} still sends heartbeats: stop its runtime-agent first (force=true removes it all the same)",
    ),
    "NODE_DISK_PRESSURE": ("节点磁盘空间不足，任务等待中", "every node is short of disk; the job waits"),
    "NO_RUNTIME_NODE": ("没有可用的运行节点，任务等待中", "no runtime node is available; the job waits"),
    "NODE_MEMORY_PRESSURE": (
        "节点可分配内存不足，任务等待中",
        "every node's memory is given away; the job waits",
    ),
    "DRAIN_NOT_FOUND": ("没有这次迁出", "no such drain"),
    "NODE_NO_ADDRESS": (
        "节点 {node} 还没有报告网关地址；请在该节点上设置 RUNTIME_NODE_UPSTREAM_URL",
        "node {node} has told no address of its gateway; set RUNTIME_NODE_UPSTREAM_URL on it",
    ),
    "NODE_NOT_ELIGIBLE": ("目标节点不可用（{health}）", "the target node can't take apps ({health})"),
    # agent
    "STALE_GENERATION": ("已有更新的版本在运行", "a newer generation is already live"),
    "DEPLOY_IN_PROGRESS": ("该应用正在部署", "that app is being deployed"),
    # the gateway's own pages
    "APP_STOPPED": ("应用已停止", "the app is stopped"),
    "APP_STARTING": ("应用正在启动，请稍候", "the app is starting; one moment"),
    "APP_UNREACHABLE": ("应用没有响应", "the app does not answer"),
    "NODE_AWAY": ("应用所在的节点暂时无法访问", "the app's node can't be reached at the moment"),
    "APP_TIMEOUT": ("应用响应超时", "the app took too long to answer"),
    "APP_BUSY": ("应用当前请求过多，请稍后再试", "the app has too many requests in hand; try again soon"),
    "APP_REPLACED": ("应用的新版本已接替", "another version of the app took over"),
    "APP_HEAD_TOO_LARGE": ("应用的响应头过大", "the app's answer has too large a head"),
    "GATEWAY_BUSY": ("网关当前请求过多，请稍后再试", "the gateway has too many requests in hand; try again soon"),
    "PATH_REFUSED": ("请求路径不合法", "that path is not acceptable"),
    # a rollout that failed: the agent's words
    "APP_EXITED": ("应用启动后退出（退出码 {exit}）{cause}", "the app exited after its start (exit status {exit}){cause}"),
    "APP_OUT_OF_MEMORY": ("应用内存超过上限 {limit}，被系统终止", "the app used more than its {limit} of memory and was ended"),
    "APP_NOT_LISTENING": (
        "应用在 {seconds} 秒内没有监听端口 {port}{seen}",
        "the app did not listen on port {port} within {seconds} s{seen}",
    ),
    "APP_SPEAKS_HTTP2": (
        "应用在端口 {port} 上只支持 HTTP/2；平台用 HTTP/1.1 与应用通信",
        "the app speaks HTTP/2 only at port {port}; this platform speaks HTTP/1.1 to apps",
    ),
    "APP_UNHEALTHY": (
        "应用在 {seconds} 秒内没有通过健康检查 {path}：{detail}",
        "the app did not become healthy at {path} within {seconds} s: {detail}",
    ),
    "IMAGE_NOT_FOUND": ("无法拉取镜像 {image}：{detail}", "image {image} can't be pulled: {detail}"),
    "IMAGE_UNUSABLE": ("镜像无法启动，容器引擎的原话：{detail}", "the image can't be started; the engine says: {detail}"),
    "REGISTRY_UNREACHABLE": ("连不上镜像仓库 {registry}", "the registry {registry} can't be reached"),
    "REGISTRY_AUTH": ("镜像仓库 {registry} 拒绝了节点的登录", "registry {registry} refused the node's login"),
    "GATEWAY_FAILED": ("网关没有切换到新版本：{detail}", "the gateway did not switch to the new version: {detail}"),
    "ENGINE_FAILED": ("容器引擎拒绝了请求：{detail}", "the container engine refused: {detail}"),
    "ENGINE_UNREACHABLE": ("容器引擎无响应：{detail}", "the container engine does not answer: {detail}"),
    "BASE_PATH_UNSUPPORTED": (
        "网关只能以 {expected} 提供该应用，收到 basePath {given}",
        "the gateway serves this app at {expected} only; got basePath {given}",
    ),
    "ROLLOUT_INTERRUPTED": ("部署被停止、删除或调用方断开中断", "the rollout was ended by a stop, a delete or the caller"),
    "ROLLOUT_GOES_ON": (
        "镜像仍在拉取，节点继续部署；稍后再次部署即可看到结果",
        "the image is still being pulled and the node goes on with it; deploy again in a while to see how it ended",
    ),
    "RELEASE_NOT_KEPT": ("节点上没有保留该应用的版本，请重新部署", "this node keeps no release of the app; deploy it again"),
    "LOG_STREAMS": ("同时跟踪的日志已达上限 {limit}，请先关闭一个", "at most {limit} followed logs at a time; close one first"),
    "LOG_STREAMS_ALL": (
        "平台正在跟踪的日志已达上限 {limit}（funai.limits.log-streams，由运维设置），请稍后再试",
        "the platform follows {limit} logs already (funai.limits.log-streams, the operator's setting); try again later",
    ),
    # callees
    "DEPLOY_DISABLED": (
        "部署功能未启用（deploy-proxy.enabled=false）",
        "deploying is switched off (deploy-proxy.enabled=false)",
    ),
    "ADMIN_TOKEN_MISSING": ("未配置 deploy-proxy.admin-token", "deploy-proxy.admin-token is not set here"),
    "DEPLOY_UNREACHABLE": ("部署控制面暂不可用，请稍后再试", "the deploy service can't be reached; try again soon"),
    "AGENT_UNREACHABLE": ("运行节点暂不可用：{detail}", "the runtime node can't be reached: {detail}"),
    "AGENT_TOO_OLD": (
        "运行节点 {detail} 的 agent 版本过旧，不支持该操作",
        "the agent of runtime node {detail} is too old for this",
    ),
    # databases of apps
    "DATABASES_OFF": (
        "本平台没有为应用提供数据库（管理员可设置 RUNTIME_POSTGRES_URL 或 RUNTIME_MONGO_HOST）",
        "this platform has no databases for apps (its operator sets RUNTIME_POSTGRES_URL or RUNTIME_MONGO_HOST)",
    ),
    "DATABASE_NOT_OFFERED": (
        "本平台不提供 {kind} 数据库，可用的有：{kinds}",
        "this platform has no {kind} databases; it has: {kinds}",
    ),
    "DATABASE_KIND_UNCLEAR": ("请指明数据库种类（kind）：{kinds}", "say which kind of database (kind): {kinds}"),
    "DATABASE_NOT_FOUND": (
        "应用没有 {kind} 数据库；可用 funai db create 创建",
        "the app has no {kind} database; `funai db create` makes one",
    ),
    "DATABASE_AWAY": (
        "平台的 {title} 没有响应，请稍后再试（{detail}）",
        "the platform's {title} does not answer; try again soon ({detail})",
    ),
    "DATABASE_REFUSED": ("平台的 {title} 拒绝了操作：{detail}", "the platform's {title} refused: {detail}"),
    "DATABASE_ACCOUNT_SHARED": (
        "所有应用共用一个数据库账号，不能轮换；管理员可设置 RUNTIME_MONGO_PER_APP_USERS=true",
        "all apps share one database account, which can't be rotated; the operator sets RUNTIME_MONGO_PER_APP_USERS=true",
    ),
    "DATABASE_BACKUP_NOT_FOUND": ("没有这个备份，见 funai db info", "no such backup; `funai db info` lists those there are"),
    "DATABASE_BUSY": ("数据库正在备份、恢复或修改，请稍后再试", "the database is being backed up or changed: try later"),
    "DATABASE_FULL": ("数据库已超过配额，只能读取和删除", "the database is over its quota: it may be read and emptied only"),
    "DATABASE_BACKUP_FAILED": ("备份没有写成：{detail}", "the backup could not be written: {detail}"),
    "ORPHANS_NO_APPS": ("应用列表为空，已拒绝清理", "the list of apps is empty: nothing is cleaned up"),
    "MONGO_COLLECTION_INVALID": (
        "集合名须以字母或数字开头，只含字母、数字、_ . -，最长 120 位",
        "a collection's name begins with a letter or digit, has letters, digits, _ . - only, and at most 120 of them",
    ),
    "MONGO_COLLECTION_FORBIDDEN": ("不允许访问系统集合 {name}", "{name} is a system collection: not allowed"),
    "MONGO_COLLECTION_EXISTS": ("集合 {name} 已存在", "collection {name} already exists"),
    "MONGO_JSON_INVALID": ("{what} 不是可用的 JSON 对象：{detail}", "{what} is not a usable JSON object: {detail}"),
    "MONGO_CODE_FORBIDDEN": ("不允许使用 {name}", "{name} is not allowed"),
    "MONGO_DOC_EMPTY": ("文档不能为空", "the document is empty"),
    "MONGO_FIELD_INVALID": (
        "字段 {name} 的类型 {type} 不可用，可用的有：{types}",
        "field {name}: type {type} is not usable; there are: {types}",
    ),
    "MONGO_TOO_SLOW": ("查询超过 {seconds} 秒，已终止", "the query took longer than {seconds} s and was ended"),
    # builds: what a job's errorMessage says (JOB_ + failure code); both languages are shown
    "APP_YAML_INVALID": ("deploy/app.yaml 无效：{detail}", "deploy/app.yaml is not usable: {detail}"),
    "PACKAGE_JSON_INVALID": ("package.json 不是合法的 JSON", "package.json is not valid JSON"),
    "NPM_START_MISSING": (
        "package.json 没有 start 脚本；请添加，或提供 Dockerfile",
        "package.json has no start script; add one, or a Dockerfile",
    ),
    "JOB_BUILD_FAILED": ("构建失败（退出码 {exit}）", "the build failed (exit status {exit})"),
    "JOB_BUILD_TIMEOUT": ("构建超过 {seconds} 秒，已终止", "the build took longer than {seconds} s and was ended"),
    "JOB_BUILD_OUTPUT_LIMIT": ("构建输出超过 {limit}，已终止", "the build printed more than {limit} and was ended"),
    "JOB_OUT_OF_MEMORY": ("构建内存超过 {limit}，被系统终止", "the build needed more than {limit} of memory and was ended"),
    "JOB_OUT_OF_DISK": ("构建写入磁盘超过 {limit}，已终止", "the build wrote more than {limit} to disk and was ended"),
    "JOB_DOCKERFILE_MISSING": (
        "仓库里没有 {path}，也没有 package.json；运行 funai init 可生成",
        "the repository has no {path} and no package.json; `funai init` writes one",
    ),
    "JOB_CONTRACT_INVALID": ("仓库不符合构建约定：{detail}", "the repository breaks the build contract: {detail}"),
    "JOB_GIT_AUTH": (
        "仓库不存在，或平台的 SSH 密钥无权读取",
        "the repository does not exist, or the platform's SSH key may not read it",
    ),
    "JOB_GIT_HOST_KEY": (
        "Git 服务器 {host} 的主机密钥与固定的不符，已拒绝连接。确认更换属实后，请管理员更新 {file}（ssh-keyscan -p {port} {name}）",
        "the host key of Git server {host} is not the pinned one; refused. If the change is genuine, the operator updates {file} (ssh-keyscan -p {port} {name})",
    ),
    "JOB_GIT_REF_NOT_FOUND": ("仓库里没有分支、标签或提交 {ref}", "the repository has no branch, tag or commit {ref}"),
    "JOB_GIT_EMPTY": ("仓库是空的；请先 git push", "the repository is empty; git push first"),
    "JOB_GIT_UNSUPPORTED": ("不支持{what}：{path}", "{what} is not supported: {path}"),
    "JOB_GIT_UNREACHABLE": ("连不上 Git 服务器 {host}", "the Git server {host} can't be reached"),
    "JOB_REGISTRY_AUTH": ("镜像仓库 {registry} 拒绝了平台的登录", "registry {registry} refused the platform's login"),
    "JOB_REGISTRY_NO_LOGIN": (
        "镜像仓库 {registry} 要求登录，而平台没有它的登录",
        "registry {registry} wants a login, and the platform has none for it",
    ),
    "JOB_REGISTRY_LIMITED": (
        "镜像仓库 {registry} 限制了拉取次数：请稍后再试，或由运维为它设置登录",
        "registry {registry} limits pulls: try later, or have the operator set a login for it",
    ),
    "JOB_REGISTRY_FULL": (
        "镜像仓库 {registry} 的磁盘已满，请联系运维",
        "the registry's disk is full ({registry}); the operator has to make room",
    ),
    "JOB_REGISTRY_QUOTA": (
        "镜像仓库 {registry} 的项目配额已用完：请运维在 Harbor 调高该项目的配额，或清理旧镜像（deploy.registry.cleanup）后运行垃圾回收",
        "the project's quota at the registry {registry} is used up: the operator raises it in Harbor, or removes old images (deploy.registry.cleanup) and runs its garbage collection",
    ),
    "JOB_REGISTRY_IMMUTABLE": (
        "镜像仓库 {registry} 的不可变标签规则不允许移动该标签：请运维在 Harbor 让规则不包含应用的仓库（u*-app*），或换一个 imageTag",
        "a rule of immutable tags at the registry {registry} keeps this tag from being moved: the operator excludes apps' repositories (u*-app*) from it in Harbor, or another imageTag is used",
    ),
    "REGISTRY_RIVAL": (
        "Harbor 项目 {namespace} 的标签保留策略（{rules}）会删除平台仍需要的镜像，回滚将失败；请运行 funai harbor setup --retention off，或在 Harbor 停用该策略",
        "the tag retention policy of Harbor project {namespace} ({rules}) deletes images that the platform still needs, and rollbacks would fail; run funai harbor setup --retention off, or disable the policy in Harbor",
    ),
    "JOB_NO_REGISTRY": (
        "{registry} 不是镜像仓库：它返回了一个网页（代理、防火墙或登录页）",
        "{registry}: that is no registry: it answers a web page (of a proxy, a filter, a login)",
    ),
    "JOB_REGISTRY_PRIVATE": (
        "{registry} 位于或指向内网地址，须由运维在 RUNNER_PRIVATE_REGISTRIES 中列出",
        "{registry} is at, or leads to, a private address, which the operator has to list in RUNNER_PRIVATE_REGISTRIES",
    ),
    "JOB_REGISTRY_UNREACHABLE": ("连不上镜像仓库 {registry}", "registry {registry} can't be reached"),
    "JOB_PACKAGE_REGISTRY_UNREACHABLE": (
        "连不上软件包仓库 {registry}：依赖没有装上，构建未保留",
        "the package registry {registry} can't be reached: no packages were installed, and nothing of the build is kept",
    ),
    "JOB_IMAGE_NOT_FOUND": ("找不到镜像 {image}", "image {image} was not found"),
    "JOB_IMAGE_UNUSABLE": ("镜像无法启动", "the image can't be started"),
    "JOB_APP_EXITED": ("应用启动后退出", "the app exited after its start"),
    "JOB_APP_OUT_OF_MEMORY": ("应用内存超限，被系统终止", "the app used up its memory and was ended"),
    "JOB_APP_NOT_LISTENING": ("应用没有监听约定的端口", "the app does not listen on the agreed port"),
    "JOB_APP_SPEAKS_HTTP2": (
        "应用只支持 HTTP/2；平台用 HTTP/1.1 与应用通信",
        "the app speaks HTTP/2 only; this platform speaks HTTP/1.1 to apps",
    ),
    "JOB_APP_UNHEALTHY": ("应用没有通过健康检查", "the app did not become healthy"),
    "JOB_GATEWAY_FAILED": ("网关没有切换到新版本", "the gateway did not switch to the new version"),
    "JOB_AGENT_UNREACHABLE": ("运行节点不可用：{detail}", "the runtime node can't be reached: {detail}"),
    "JOB_STALE_GENERATION": ("该应用已有更新的版本在运行", "a newer generation of the app is already live"),
    "JOB_LEASE_EXPIRED": ("执行者失去了租约", "the runner lost its lease"),
    "JOB_RUN_TIMEOUT": ("部署超过 {seconds} 秒，已终止", "the deploy took longer than {seconds} s and was ended"),
    "JOB_NO_NODE": ("没有可用的运行节点", "no runtime node is available"),
    "JOB_ENGINE_FAILED": ("运行节点的容器引擎出错", "the runtime node's container engine failed"),
    "JOB_INTERNAL": ("平台内部错误：{detail}", "internal error of the platform: {detail}"),
}


def render(reason: str, language: str, params: Mapping[str, object]) -> str:
    """The catalogue's message; an unknown reason is its own message, a missing parameter shows as its name."""
    entry = MESSAGES.get(reason)
    if entry is None:
        return str(params.get("detail", reason))
    english = language == "en"
    filled = {k: (v.en if english else v.zh) if isinstance(v, Words) else v for k, v in params.items()}
    return entry[1 if english else 0].format_map(_Lenient(filled))


class _Lenient(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"
