"""Messages for people by reason, in Chinese (default) and English. Placeholders are ``str.format`` fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """A placeholder's value that is itself words for people, in both languages."""

    zh: str
    en: str


MESSAGES: dict[str, tuple[str, str]] = {
    # general
    "OK": ("成功", "ok"),
    "INTERNAL": ("服务内部错误，请凭 traceId 联系管理员", "internal error; give the traceId to the operator"),
    "BAD_INPUT": ("请求参数有误：{detail}", "bad request: {detail}"),
    "BAD_JSON": ("请求体不是合法的 JSON", "the request body is not valid JSON"),
    "UNAUTHENTICATED": ("请先登录", "please log in first"),
    "BAD_CREDENTIALS": ("用户名或密码错误", "wrong user name or password"),
    "TOKEN_EXPIRED": ("登录已过期，请重新登录", "the login has expired; log in again"),
    "FORBIDDEN": ("没有权限", "not allowed"),
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
    # apps and quotas
    "APP_NOT_FOUND": ("应用不存在", "no such app"),
    "APP_NAME_INVALID": (
        "应用名须为 1–64 个字符且不含控制字符",
        "an app name has 1–64 characters, none of them control characters",
    ),
    "APP_NAME_TAKEN": ("你已有同名应用", "you already have an app of that name"),
    "APP_DISABLED": ("应用已被停用，请联系管理员", "the app is disabled; ask the operator"),
    "APP_DEPLOYING": ("应用正在部署中，请等待完成或先取消", "the app is being deployed; wait for it or cancel it first"),
    "APP_NOT_RUNNING": ("应用未在运行", "the app is not running"),
    "APP_NEVER_DEPLOYED": ("应用还没有成功部署过", "the app was never deployed successfully"),
    "QUOTA_APPS": ("应用数量已达上限 {limit}，请先删除不用的应用", "at most {limit} apps per user; delete one first"),
    "QUOTA_RUNNING_APPS": (
        "同时运行的应用已达上限 {limit}，请先停止一个",
        "at most {limit} running apps per user; stop one first",
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
    "BASE_PATH_FORBIDDEN": ("basePath 须为 {own} 或其下级路径", "basePath must be {own} or below it"),
    "REPO_FORBIDDEN": ("repoSshUrl 须为该应用自己的仓库 {own}", "repoSshUrl must be this app's own repository, {own}"),
    "REGISTRY_FORBIDDEN": ("不允许指定其他镜像仓库或命名空间", "another registry or namespace is not allowed"),
    "SOURCE_MISSING": ("平台未启用 Git 构建，请指定 image", "building from Git is switched off here; name an image"),
    "ENV_LIMIT": (
        "环境变量过多或过大：最多 {count} 个，共 {bytes} 字节",
        "too many or too large variables: at most {count}, {bytes} bytes in all",
    ),
    "ENV_DISABLED": ("未启用环境变量（缺少 funai.env.key-file）", "variables are switched off (funai.env.key-file is not set)"),
    "JOB_VANISHED": ("部署任务记录已丢失", "the deploy job's record is gone"),
    "OPERATION_LOST": ("部署请求未被受理，请重试", "the deploy request was never taken up; try again"),
    "REPO_HOST_FAILED": ("代码仓库操作失败，请稍后再试", "the repository could not be changed; try again soon"),
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
    "NODE_DISK_PRESSURE": ("节点磁盘空间不足，任务等待中", "every node is short of disk; the job waits"),
    "NO_RUNTIME_NODE": ("没有可用的运行节点，任务等待中", "no runtime node is available; the job waits"),
    "NODE_NOT_ELIGIBLE": ("目标节点不可用（{health}）", "the target node can't take apps ({health})"),
    # agent
    "STALE_GENERATION": ("已有更新的版本在运行", "a newer generation is already live"),
    "DEPLOY_IN_PROGRESS": ("该应用正在部署", "that app is being deployed"),
    # the gateway's own pages
    "APP_STOPPED": ("应用已停止", "the app is stopped"),
    "APP_STARTING": ("应用正在启动，请稍候", "the app is starting; one moment"),
    "APP_UNREACHABLE": ("应用没有响应", "the app does not answer"),
    "APP_TIMEOUT": ("应用响应超时", "the app took too long to answer"),
    "APP_BUSY": ("应用当前请求过多，请稍后再试", "the app has too many requests in hand; try again soon"),
    "PATH_REFUSED": ("请求路径不合法", "that path is not acceptable"),
    # callees
    "DEPLOY_DISABLED": (
        "部署功能未启用（deploy-proxy.enabled=false）",
        "deploying is switched off (deploy-proxy.enabled=false)",
    ),
    "DEPLOY_UNREACHABLE": ("部署控制面暂不可用，请稍后再试", "the deploy service can't be reached; try again soon"),
    "AGENT_UNREACHABLE": ("运行节点暂不可用：{detail}", "the runtime node can't be reached: {detail}"),
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
