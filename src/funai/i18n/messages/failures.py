"""Why a job failed, by ``FailureCode.message``, and what its Dockerfile and sources lack; a job shows both languages."""

from __future__ import annotations

from funai.contracts.reasons import Reason

FAILURES: dict[str, tuple[str, str]] = {
    # builds: what a job's errorMessage says (JOB_ + failure code); both languages are shown
    Reason.APP_YAML_INVALID: ("deploy/app.yaml 无效：{detail}", "deploy/app.yaml is not usable: {detail}"),
    Reason.PACKAGE_JSON_INVALID: ("package.json 不是合法的 JSON", "package.json is not valid JSON"),
    Reason.NPM_START_MISSING: (
        "package.json 没有 start 脚本；请添加，或提供 Dockerfile",
        "package.json has no start script; add one, or a Dockerfile",
    ),
    Reason.JOB_BUILD_FAILED: ("构建失败（退出码 {exit}）", "the build failed (exit status {exit})"),
    Reason.JOB_BUILD_TIMEOUT: ("构建超过 {seconds} 秒，已终止", "the build took longer than {seconds} s and was ended"),
    Reason.JOB_BUILD_OUTPUT_LIMIT: ("构建输出超过 {limit}，已终止", "the build printed more than {limit} and was ended"),
    Reason.JOB_OUT_OF_MEMORY: (
        "构建内存超过 {limit}，被系统终止",
        "the build needed more than {limit} of memory and was ended",
    ),
    Reason.JOB_OUT_OF_DISK: ("构建写入磁盘超过 {limit}，已终止", "the build wrote more than {limit} to disk and was ended"),
    Reason.JOB_DOCKERFILE_MISSING: (
        "仓库里没有 {path}，也没有 package.json 或 index.html；运行 funai init 可生成",
        "the repository has no {path}, and no package.json or index.html; `funai init` writes one",
    ),
    Reason.JOB_CONTRACT_INVALID: ("仓库不符合构建约定：{detail}", "the repository breaks the build contract: {detail}"),
    Reason.JOB_GIT_AUTH: (
        "仓库不存在，或平台的 SSH 密钥无权读取",
        "the repository does not exist, or the platform's SSH key may not read it",
    ),
    Reason.JOB_GIT_HOST_KEY: (
        "Git 服务器 {host} 的主机密钥与固定的不符，已拒绝连接。确认更换属实后，请管理员更新 {file}（ssh-keyscan -p {port} {name}）",
        "the host key of Git server {host} is not the pinned one; refused. If the change is genuine, the operator updates {file} (ssh-keyscan -p {port} {name})",
    ),
    Reason.JOB_GIT_REF_NOT_FOUND: ("仓库里没有分支、标签或提交 {ref}", "the repository has no branch, tag or commit {ref}"),
    Reason.JOB_GIT_EMPTY: ("仓库是空的；请先 git push", "the repository is empty; git push first"),
    Reason.JOB_GIT_UNSUPPORTED: ("不支持{what}：{path}", "{what} is not supported: {path}"),
    Reason.JOB_GIT_UNREACHABLE: ("连不上 Git 服务器 {host}", "the Git server {host} can't be reached"),
    Reason.JOB_REGISTRY_AUTH: ("镜像仓库 {registry} 拒绝了平台的登录", "registry {registry} refused the platform's login"),
    Reason.JOB_REGISTRY_NO_LOGIN: (
        "镜像仓库 {registry} 要求登录，而平台没有它的登录",
        "registry {registry} wants a login, and the platform has none for it",
    ),
    Reason.JOB_REGISTRY_LIMITED: (
        "镜像仓库 {registry} 限制了拉取次数：请稍后再试，或由运维为它设置登录",
        "registry {registry} limits pulls: try later, or have the operator set a login for it",
    ),
    Reason.JOB_REGISTRY_FULL: (
        "镜像仓库 {registry} 的磁盘已满，请联系运维",
        "the registry's disk is full ({registry}); the operator has to make room",
    ),
    Reason.JOB_REGISTRY_QUOTA: (
        "镜像仓库 {registry} 的项目配额已用完：请运维在 Harbor 调高该项目的配额，或清理旧镜像（deploy.registry.cleanup）后运行垃圾回收",
        "the project's quota at the registry {registry} is used up: the operator raises it in Harbor, or removes old images (deploy.registry.cleanup) and runs its garbage collection",
    ),
    Reason.JOB_REGISTRY_IMMUTABLE: (
        "镜像仓库 {registry} 的不可变标签规则不允许移动该标签：请运维在 Harbor 让规则不包含应用的仓库（u*-app*），或换一个 imageTag",
        "a rule of immutable tags at the registry {registry} keeps this tag from being moved: the operator excludes apps' repositories (u*-app*) from it in Harbor, or another imageTag is used",
    ),
    Reason.REGISTRY_RIVAL: (
        "Harbor 项目 {namespace} 的标签保留策略（{rules}）会删除平台仍需要的镜像，回滚将失败；请运行 funai harbor setup --retention off，或在 Harbor 停用该策略",
        "the tag retention policy of Harbor project {namespace} ({rules}) deletes images that the platform still needs, and rollbacks would fail; run funai harbor setup --retention off, or disable the policy in Harbor",
    ),
    Reason.JOB_NO_REGISTRY: (
        "{registry} 不是镜像仓库：它返回了一个网页（代理、防火墙或登录页）",
        "{registry}: that is no registry: it answers a web page (of a proxy, a filter, a login)",
    ),
    Reason.JOB_REGISTRY_PRIVATE: (
        "{registry} 位于或指向内网地址，须由运维在 RUNNER_PRIVATE_REGISTRIES 中列出",
        "{registry} is at, or leads to, a private address, which the operator has to list in RUNNER_PRIVATE_REGISTRIES",
    ),
    Reason.JOB_REGISTRY_UNREACHABLE: ("连不上镜像仓库 {registry}", "registry {registry} can't be reached"),
    Reason.JOB_PACKAGE_REGISTRY_UNREACHABLE: (
        "连不上软件包仓库 {registry}：依赖没有装上，构建未保留",
        "the package registry {registry} can't be reached: no packages were installed, and nothing of the build is kept",
    ),
    Reason.JOB_IMAGE_NOT_FOUND: ("找不到镜像 {image}", "image {image} was not found"),
    Reason.JOB_IMAGE_UNUSABLE: ("镜像无法启动", "the image can't be started"),
    Reason.JOB_APP_EXITED: ("应用启动后退出", "the app exited after its start"),
    Reason.JOB_APP_OUT_OF_MEMORY: ("应用内存超限，被系统终止", "the app used up its memory and was ended"),
    Reason.JOB_APP_NOT_LISTENING: ("应用没有监听约定的端口", "the app does not listen on the agreed port"),
    Reason.JOB_APP_SPEAKS_HTTP2: (
        "应用只支持 HTTP/2；平台用 HTTP/1.1 与应用通信",
        "the app speaks HTTP/2 only; this platform speaks HTTP/1.1 to apps",
    ),
    Reason.JOB_APP_UNHEALTHY: ("应用没有通过健康检查", "the app did not become healthy"),
    Reason.JOB_GATEWAY_FAILED: ("网关没有切换到新版本", "the gateway did not switch to the new version"),
    Reason.JOB_AGENT_UNREACHABLE: ("运行节点不可用：{detail}", "the runtime node can't be reached: {detail}"),
    Reason.JOB_STALE_GENERATION: ("该应用已有更新的版本在运行", "a newer generation of the app is already live"),
    Reason.JOB_LEASE_EXPIRED: ("执行者失去了租约", "the runner lost its lease"),
    Reason.JOB_RUN_TIMEOUT: ("部署超过 {seconds} 秒，已终止", "the deploy took longer than {seconds} s and was ended"),
    Reason.JOB_NO_NODE: ("没有可用的运行节点", "no runtime node is available"),
    Reason.JOB_ENGINE_FAILED: ("运行节点的容器引擎出错", "the runtime node's container engine failed"),
    Reason.JOB_INTERNAL: ("平台内部错误：{detail}", "internal error of the platform: {detail}"),
}
