"""What to do next, by the reason of a refusal or the code of a failure. Pure; Chinese and English.

``{…}`` are filled from what the verb knows (``app``, ``job``, ``server``); an unknown one shows as its name.
"""

from __future__ import annotations

from collections.abc import Mapping

from funai.contracts.reasons import FailureCode, Reason

HINTS: dict[str, tuple[str, str]] = {
    # refusals
    Reason.UNAUTHENTICATED: ("运行 funai login 登录", "run: funai login"),
    Reason.TOKEN_EXPIRED: ("运行 funai login 重新登录", "run: funai login"),
    Reason.BAD_CREDENTIALS: (
        "检查用户名和密码；没有账号可运行 funai register",
        "check the name and the password; without an account run: funai register",
    ),
    Reason.FORBIDDEN: ("用 funai whoami 查看当前账号", "funai whoami shows who you are"),
    Reason.REGISTRATION_CLOSED: ("请管理员为你创建账号", "ask the operator for an account"),
    Reason.USER_NAME_TAKEN: ("换一个用户名，或用 funai login 登录", "choose another name, or log in with: funai login"),
    Reason.KEY_INVALID: (
        "给出 .pub 公钥文件；没有可运行 ssh-keygen -t ed25519",
        "give the .pub file; to make a key run: ssh-keygen -t ed25519",
    ),
    Reason.KEY_TAKEN: (
        "用 funai keys list 查看；它可能属于另一个账号",
        "see funai keys list; it may belong to another account",
    ),
    Reason.KEY_LIMIT: ("先用 funai keys remove 删除不用的公钥", "remove one first: funai keys remove ID"),
    Reason.APP_NOT_FOUND: ("用 funai apps list 查看你的应用", "funai apps list shows your apps"),
    Reason.JOB_NOT_FOUND: ("用 funai jobs 查看你的任务", "funai jobs shows your jobs"),
    Reason.JOB_FINAL: ("任务已结束，无需取消", "the job has ended; there is nothing to cancel"),
    Reason.APP_NAME_TAKEN: ("换一个名字，或用 funai apps list 查看已有的", "choose another name, or see funai apps list"),
    Reason.APP_DISABLED: ("请联系管理员", "ask the operator"),
    Reason.APP_DEPLOYING: (
        "用 funai status {app} 看进展，或 funai cancel --app {app} 取消",
        "watch it with: funai status {app}, or stop it with: funai cancel --app {app}",
    ),
    Reason.APP_NOT_RUNNING: (
        "用 funai deploy {app} 或 funai start {app} 启动",
        "bring it up: funai deploy {app}, or funai start {app}",
    ),
    Reason.APP_NEVER_DEPLOYED: ("先运行 funai deploy {app}", "deploy it first: funai deploy {app}"),
    Reason.QUOTA_APPS: ("用 funai apps delete APP 删除不用的应用", "delete one you don't need: funai apps delete APP"),
    Reason.QUOTA_RUNNING_APPS: (
        "用 funai apps list 查看在运行的应用（部署失败而旧版本仍在线的也算），funai stop APP 停止一个",
        "funai apps list shows what runs (also where the latest deploy failed); free a slot with: funai stop APP",
    ),
    Reason.IMAGE_FORBIDDEN: (
        "推送到该应用自己的仓库，或请管理员放行该命名空间",
        "push it to the app's own repository, or ask the operator to allow its namespace",
    ),
    Reason.RELEASE_NOT_FOUND: ("用 funai releases {app} 查看可回滚的版本", "funai releases {app} shows what there is"),
    Reason.IDEMPOTENCY_MISMATCH: ("去掉 --idempotency-key 或换一个", "drop --idempotency-key, or use a new one"),
    Reason.TOO_MANY: ("稍等后重试", "wait a moment and try again"),
    Reason.DEPLOY_DISABLED: ("请管理员打开 deploy-proxy.enabled", "ask the operator to switch deploy-proxy.enabled on"),
    Reason.DEPLOY_UNREACHABLE: ("稍后重试；管理员可运行 funai doctor", "try again soon; an operator may run: funai doctor"),
    Reason.NODE_DISK_PRESSURE: (
        "管理员：funai nodes list 查看各节点磁盘",
        "operators: funai nodes list shows each node's disk",
    ),
    Reason.NODE_MEMORY_PRESSURE: (
        "管理员：funai nodes list 查看各节点内存，或调大 deploy.runtime-node-registry.memory-overcommit",
        "operators: funai nodes list shows each node's memory; deploy.runtime-node-registry.memory-overcommit is the limit",
    ),
    Reason.NO_RUNTIME_NODE: (
        "管理员：funai nodes list 查看各节点心跳",
        "operators: funai nodes list shows each node's heartbeat",
    ),
    # failures of a job
    FailureCode.BUILD_FAILED: ("用 funai logs {app} 看构建日志", "read the build log: funai logs {app}"),
    FailureCode.BUILD_TIMEOUT: ("精简构建步骤，或请管理员放宽时限", "make the build shorter, or ask for a longer limit"),
    FailureCode.BUILD_OUTPUT_LIMIT: ("让构建少打印一些", "make the build print less"),
    FailureCode.OUT_OF_MEMORY: (
        "减少构建占用的内存，或请管理员放宽上限",
        "let the build use less memory, or ask for a higher limit",
    ),
    FailureCode.OUT_OF_DISK: ("减少构建写入的文件，检查 .dockerignore", "write fewer files in the build; see .dockerignore"),
    FailureCode.DOCKERFILE_MISSING: (
        "运行 funai init 生成 Dockerfile，提交并推送后再部署",
        "run funai init to write one, commit and push, then deploy again",
    ),
    FailureCode.CONTRACT_INVALID: ("在仓库里运行 funai check", "run funai check in the repository"),
    FailureCode.GIT_AUTH: ("请管理员检查 Runner 的 SSH 密钥", "the operator must check the runner's SSH key"),
    FailureCode.GIT_HOST_KEY: ("请管理员更新 Runner 的 known_hosts", "the operator must renew the runner's known_hosts"),
    FailureCode.GIT_REF_NOT_FOUND: (
        "检查 --ref，并先 git push 该分支或标签",
        "check --ref, and git push that branch or tag first",
    ),
    FailureCode.GIT_EMPTY: ("先推送代码：git push funai HEAD:main", "push your code first: git push funai HEAD:main"),
    FailureCode.GIT_UNSUPPORTED: ("去掉子模块或 LFS 后再推送", "push without submodules and LFS"),
    FailureCode.PACKAGE_REGISTRY_UNREACHABLE: (
        "稍后重新部署；仓库在 .npmrc 里写错了也会这样，否则请管理员检查 NPM_REGISTRY",
        "deploy again later; a wrong registry in .npmrc does this too, else the operator checks NPM_REGISTRY",
    ),
    Reason.IMAGE_NOT_FOUND: ("检查镜像名和标签是否已推送", "check the image's name and tag, and that it was pushed"),
    Reason.IMAGE_UNUSABLE: (
        "检查 Dockerfile 的 USER、WORKDIR、ENTRYPOINT 和 CMD：用户和程序须在镜像里，程序须可执行",
        "check USER, WORKDIR, ENTRYPOINT and CMD: the user and the program must be in the image, the program executable",
    ),
    Reason.APP_EXITED: (
        "应用启动后退出：funai logs {app} 里有它最后的输出",
        "the app exited at once: its last lines are in funai logs {app}",
    ),
    Reason.APP_OUT_OF_MEMORY: (
        "减少应用占用的内存，或请管理员放宽上限",
        "let the app use less memory, or ask for a higher limit",
    ),
    Reason.APP_NOT_LISTENING: (
        "应用须监听 containerPort（默认 3000，0.0.0.0）；不同端口用 --port",
        "the app must listen on the port (3000 by default, on 0.0.0.0); name another with --port",
    ),
    Reason.APP_SPEAKS_HTTP2: (
        "请让应用（在 allowHTTP1 之类的选项下）同时提供 HTTP/1.1；gRPC 可使用 gRPC-Web",
        "let the app serve HTTP/1.1 too (an option such as allowHTTP1); for gRPC, gRPC-Web does",
    ),
    Reason.APP_UNHEALTHY: (
        "健康检查路径须返回低于 500 的状态；可用 --health-path 指定",
        "the health path must answer below 500; name another with --health-path",
    ),
    FailureCode.LEASE_EXPIRED: ("重新部署即可；若反复出现请联系管理员", "deploy again; if it comes back, tell the operator"),
    FailureCode.RUN_TIMEOUT: ("重新部署；若反复出现请联系管理员", "deploy again; if it comes back, tell the operator"),
    Reason.AGENT_UNREACHABLE: ("稍后重试；管理员：funai nodes list", "try again soon; operators: funai nodes list"),
    FailureCode.NO_NODE: ("管理员：funai nodes list 查看各节点", "operators: funai nodes list shows the nodes"),
}

_BY_CODE = {
    401: Reason.UNAUTHENTICATED,
    403: Reason.FORBIDDEN,
    429: Reason.TOO_MANY,
}


def hint(reason: str | None, language: str, known: Mapping[str, object], *, code: int | None = None) -> str | None:
    """The next step for ``reason``; by the HTTP ``code`` when the reason is unknown; None when there is no good advice."""
    entry = HINTS.get(reason or "") or HINTS.get(_BY_CODE.get(code or 0, ""))
    return entry[1 if language == "en" else 0].format_map(_Lenient(known)) if entry else None


class _Lenient(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return key.upper()
