"""Refusals by reason, in Chinese and English."""

from __future__ import annotations

from funai.contracts.reasons import Reason

REFUSALS: dict[str, tuple[str, str]] = {
    # general
    Reason.OK: ("成功", "ok"),
    Reason.INTERNAL: ("服务内部错误，请凭 traceId 联系管理员", "internal error; give the traceId to the operator"),
    Reason.BAD_INPUT: ("请求参数有误：{detail}", "bad request: {detail}"),
    Reason.BAD_JSON: ("请求体不是合法的 JSON", "the request body is not valid JSON"),
    Reason.UNAUTHENTICATED: ("请先登录", "please log in first"),
    Reason.BAD_CREDENTIALS: ("用户名或密码错误", "wrong user name or password"),
    Reason.TOKEN_EXPIRED: ("登录已过期，请重新登录", "the login has expired; log in again"),
    Reason.FORBIDDEN: ("没有权限：需要管理员账号", "not allowed: this needs an admin"),
    Reason.IP_FORBIDDEN: ("来源地址不在允许列表中", "your address is not on the allow-list"),
    Reason.NOT_FOUND: ("不存在", "not found"),
    Reason.METHOD_NOT_ALLOWED: ("不支持该请求方法", "method not allowed"),
    Reason.CONFLICT: ("状态冲突，请刷新后重试", "conflict; refresh and try again"),
    Reason.TOO_LARGE: ("内容过大，上限 {limit}", "too large; the limit is {limit}"),
    Reason.TOO_MANY: ("请求过于频繁，请 {seconds} 秒后再试", "too many requests; try again in {seconds} s"),
    Reason.CALLEE_FAILED: ("{service} 调用失败：{detail}", "{service} failed: {detail}"),
    Reason.UNAVAILABLE: ("服务暂不可用，请稍后再试", "temporarily unavailable; try again soon"),
    # accounts
    Reason.USER_NAME_TAKEN: ("用户名已被使用", "that user name is taken"),
    Reason.USER_NAME_INVALID: (
        "用户名须为 3–32 位字母、数字、_ 或 -，且以字母或数字开头",
        "a user name has 3–32 letters, digits, _ or -, and starts with a letter or digit",
    ),
    Reason.PASSWORD_WEAK: ("密码长度须为 8–128 位", "a password has 8–128 characters"),
    Reason.REGISTRATION_CLOSED: ("本平台未开放注册", "registration is closed on this platform"),
    Reason.KEY_INVALID: ("不是合法的 SSH 公钥：{detail}", "not a usable SSH public key: {detail}"),
    Reason.KEY_TAKEN: ("该公钥已被注册", "that key is already registered"),
    Reason.KEY_LIMIT: ("公钥数量已达上限 {limit}", "at most {limit} keys per user"),
    Reason.KEY_NOT_FOUND: ("公钥不存在", "no such key"),
    Reason.USER_NOT_FOUND: ("用户不存在", "no such user"),
    Reason.USER_DISABLED: ("账号已被停用，请联系管理员", "the account is disabled; ask the operator"),
    Reason.LAST_ADMIN: ("不能停用最后一个管理员", "the last admin can't be disabled"),
    # apps and quotas
    Reason.APP_NOT_FOUND: ("应用不存在", "no such app"),
    Reason.APP_NAME_INVALID: (
        "应用名须为 1–64 个可见字符，不含控制字符、不可见字符和改变文字方向的字符",
        "an app name has 1–64 visible characters, and none that control, hide or turn text around",
    ),
    Reason.APP_NAME_TAKEN: ("你已有同名应用", "you already have an app of that name"),
    Reason.APP_DISABLED: ("应用已被停用，请联系管理员", "the app is disabled; ask the operator"),
    Reason.APP_DEPLOYING: ("应用正在部署中，请等待完成或先取消", "the app is being deployed; wait for it or cancel it first"),
    Reason.APP_NOT_RUNNING: ("应用未在运行", "the app is not running"),
    Reason.APP_CRASH_LOOPING: (
        "应用反复退出，平台在不断重启它{how}；查看它的输出：funai logs {app} --runtime",
        "the app keeps ending and is started again and again{how}; see what it prints: funai logs {app} --runtime",
    ),
    Reason.APP_NEVER_DEPLOYED: ("应用还没有成功部署过", "the app was never deployed successfully"),
    Reason.QUOTA_APPS: ("应用数量已达上限 {limit}，请先删除不用的应用", "at most {limit} apps per user; delete one first"),
    Reason.QUOTA_RUNNING_APPS: (
        "同时运行的应用已达上限 {limit}（{apps}），请先停止一个",
        "at most {limit} running apps per user ({apps}); stop one first",
    ),
    Reason.IMAGE_FORBIDDEN: (
        "镜像 {image} 不在该应用自己的仓库或允许的命名空间内",
        "image {image} is neither in this app's own repository nor in an allowed namespace",
    ),
    Reason.RELEASE_NOT_FOUND: ("没有可回滚的版本", "no such release to go back to"),
    Reason.IDEMPOTENCY_MISMATCH: (
        "同一个 Idempotency-Key 已用于不同的请求",
        "that Idempotency-Key was used for a different request",
    ),
    Reason.IDEMPOTENCY_KEY_INVALID: (
        "Idempotency-Key 须为 1–200 个可见字符",
        "an Idempotency-Key has 1–200 visible characters",
    ),
    Reason.BASE_PATH_FORBIDDEN: (
        "basePath 只能是 {own}，不能更深；请省略它",
        "basePath can only be {own}, and no deeper; leave it out",
    ),
    Reason.REPO_FORBIDDEN: ("repoSshUrl 须为该应用自己的仓库 {own}", "repoSshUrl must be this app's own repository, {own}"),
    Reason.REGISTRY_FORBIDDEN: ("不允许指定其他镜像仓库或命名空间", "another registry or namespace is not allowed"),
    Reason.SOURCE_MISSING: ("平台未启用 Git 构建，请指定 image", "building from Git is switched off here; name an image"),
    Reason.ENV_LIMIT: (
        "环境变量过多或过大：最多 {count} 个，共 {bytes} 字节",
        "too many or too large variables: at most {count}, {bytes} bytes in all",
    ),
    Reason.ENV_DISABLED: (
        "未启用环境变量（缺少 funai.env.key-file）",
        "variables are switched off (funai.env.key-file is not set)",
    ),
    Reason.JOB_VANISHED: ("部署任务记录已丢失", "the deploy job's record is gone"),
    Reason.REPO_HOST_FAILED: ("代码仓库还没有准备好：{detail}", "the repository could not be made or changed: {detail}"),
    Reason.GIT_ACCOUNTS_OFF: (
        "平台没有使用 Gitea（gitea.enabled），无法关联账号",
        "this platform uses no Gitea (gitea.enabled), so there are no accounts to link",
    ),
    Reason.GIT_ACCOUNT_INVALID: (
        "不能关联 Gitea 账号 {account}：{detail}",
        "Gitea account {account} can't be linked: {detail}",
    ),
    Reason.GIT_ACCOUNT_TAKEN: ("该 Gitea 账号已关联到其他用户", "that Gitea account is linked to another user"),
    # the console
    Reason.CROSS_SITE: (
        "请求不是从本站页面发出的，已拒绝。",
        "The request did not come from a page of this console, so it was refused.",
    ),
    Reason.FORM_EXPIRED: ("表单已过期，请重新打开页面再试。", "The form is out of date; open the page again and repeat."),
    # git
    Reason.GIT_KEY_UNKNOWN: (
        "该公钥未注册：请先执行 funai keys add 注册公钥",
        "this key is not registered: add it with `funai keys add`",
    ),
    Reason.GIT_REPO_UNKNOWN: ("仓库不存在或无权访问", "no such repository, or not yours"),
    Reason.GIT_READ_ONLY: ("该公钥只读", "this key may only read"),
    # jobs
    Reason.JOB_NOT_FOUND: ("任务不存在", "no such job"),
    Reason.JOB_FINAL: ("任务已结束（{status}）", "the job has already ended ({status})"),
    Reason.LEASE_LOST: (
        "租约已失效：任务已由其他执行者接手或已结束",
        "lease lost: another runner or attempt holds the job, or it ended",
    ),
    Reason.TRANSITION_REFUSED: ("不允许从 {source} 变更为 {target}", "a job may not go from {source} to {target}"),
    Reason.LOG_GAP: ("日志偏移不连续，应为 {expected}", "log offset leaves a gap; expected {expected}"),
    # placement
    Reason.NODE_NOT_FOUND: ("节点不存在", "no such node"),
    Reason.CREDENTIAL_OF_ANOTHER: (
        "这个凭据属于 {owner}，不能以 {name} 的名义使用；请为 {name} 单独签发（funai nodes grant）",
        "this credential was made for {owner} and can't be used as {name}; make one for {name} (funai nodes grant)",
    ),
    Reason.CREDENTIAL_NOT_FOUND: ("凭据不存在", "no such credential"),
    Reason.CREDENTIAL_LIMIT: (
        "凭据数量已达上限 {limit}，请先吊销不用的",
        "at most {limit} credentials; revoke unused ones first",
    ),
    Reason.NODE_ALIVE: (
        "节点 {node} 仍在发送心跳：先停止其 runtime-agent（force=true 可强制删除）",
        "node {node} still sends heartbeats: stop its runtime-agent first (force=true removes it all the same)",
    ),
    Reason.NODE_DISK_PRESSURE: ("节点磁盘空间不足，任务等待中", "every node is short of disk; the job waits"),
    Reason.NO_RUNTIME_NODE: ("没有可用的运行节点，任务等待中", "no runtime node is available; the job waits"),
    Reason.NODE_MEMORY_PRESSURE: (
        "节点可分配内存不足，任务等待中",
        "every node's memory is given away; the job waits",
    ),
    Reason.DRAIN_NOT_FOUND: ("没有这次迁出", "no such drain"),
    Reason.NODE_NO_ADDRESS: (
        "节点 {node} 还没有报告网关地址；请在该节点上设置 RUNTIME_NODE_UPSTREAM_URL",
        "node {node} has told no address of its gateway; set RUNTIME_NODE_UPSTREAM_URL on it",
    ),
    Reason.NODE_NOT_ELIGIBLE: ("目标节点不可用（{health}）", "the target node can't take apps ({health})"),
    # callees
    Reason.DEPLOY_DISABLED: (
        "部署功能未启用（deploy-proxy.enabled=false）",
        "deploying is switched off (deploy-proxy.enabled=false)",
    ),
    Reason.ADMIN_TOKEN_MISSING: ("未配置 deploy-proxy.admin-token", "deploy-proxy.admin-token is not set here"),
    Reason.DEPLOY_UNREACHABLE: ("部署控制面暂不可用，请稍后再试", "the deploy service can't be reached; try again soon"),
    Reason.AGENT_UNREACHABLE: ("运行节点暂不可用：{detail}", "the runtime node can't be reached: {detail}"),
    Reason.AGENT_TOO_OLD: (
        "运行节点 {detail} 的 agent 版本过旧，不支持该操作",
        "the agent of runtime node {detail} is too old for this",
    ),
}
