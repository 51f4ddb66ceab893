"""Lines that the platform writes into a job's log or outcome: in both languages, since the reader is not known yet."""

from __future__ import annotations

LINES: dict[str, tuple[str, str]] = {
    # Deploy
    "lease_expired": ("执行者失联，任务租约到期（已尝试 {n} 次）", "the runner vanished and the lease ran out (attempt {n})"),
    "ran_too_long": ("运行超过 {n} 秒", "ran for longer than {n} s"),
    "no_node_in_time": ("等待运行节点超过 {n} 秒", "no runtime node could take it within {n} s"),
    "move_target_lost": (
        "目标节点已不能接收新应用，应用留在原节点继续运行",
        "the target node takes no new app any more; the app stays where it is, and serves",
    ),
    "variables_sealed": (
        "环境变量无法解密（funai.env.key-file 与保存时不一致）",
        "this key file can't open the app's variables",
    ),
    "attempt": ("第 {n} 次尝试", "attempt {n}"),
    "log_full": ("日志已达上限 {cap} 字节，其余省略", "log limit reached: the rest is dropped"),
    # source
    "too_many_files": ("超过 {n} 个文件的源码", "source of more than {n} files"),
    "source_too_large": ("超过 {limit} 字节的源码", "source over {limit} bytes"),
    "nested_too_deep": (" 嵌套过深的目录", "folders nested too deep"),
    "submodule": ("子模块", "a submodule"),
    "lfs_file": (" Git LFS 文件", "a Git LFS file"),
    # claim
    "work_dir_full": (
        "Runner 的工作目录磁盘已满，任务交还排队；请运维清理或扩容 RUNNER_WORKDIR",
        (
            "the disk of the Runner's work dir is full: the job goes back to the queue; "
            "the operator has to make room in RUNNER_WORKDIR"
        ),
    ),
    # build
    "standard_image": ("没有 Dockerfile：使用平台的标准 Node 镜像", "no Dockerfile: the platform's standard Node image"),
    "other_node_version": ("没有镜像 {image}，改用其他版本", "{image} can't be had: another version"),
    "no_ca_mount": ("此引擎的构建无法挂载平台的 CA 证书", "this engine's builds can't mount the platform's CA file"),
    "shared_cache": (
        "多个步骤共用一个 --mount=type=cache，因此不使用层缓存；给每个步骤不同的 id 即可恢复",
        "steps share one --mount=type=cache, so no layers are cached; an id of its own for each step brings that back",
    ),
    "images_removed": ("构建期间有镜像被移除，重试", "images were removed meanwhile: once more"),
    "image_exists": ("镜像已存在，跳过构建", "the image of this commit exists: no build ({digest})"),
    "stale_lock": (
        "{file} 与 package.json 不一致：在本地运行 {command}，把两个文件一起提交",
        "{file} does not fit package.json: run `{command}` on your machine and commit both files",
    ),
    "no_compiler": (
        "有依赖需要编译，镜像里没有编译器：请自带 Dockerfile，先写 RUN apt-get update && apt-get install -y python3 make g++",
        (
            "a package has to be compiled, and the image has no compiler: bring a Dockerfile that says, before the install, "
            "RUN apt-get update && apt-get install -y python3 make g++"
        ),
    ),
    "node_headers": (
        "有依赖需要编译，但 Node 的头文件取不到（nodejs.org）：请自带 Dockerfile，在 node:20-bookworm 这类镜像里安装依赖",
        (
            "a package has to be compiled, and Node's headers can't be fetched from nodejs.org: bring a Dockerfile that "
            "installs in an image which has them, such as node:20-bookworm"
        ),
    ),
    "debian_away": (
        "取不到 Debian 软件包 {packages}（{mirror}）：请管理员设置 FUNAI_DEBIAN_MIRROR，或自带 Dockerfile",
        (
            "the Debian packages {packages} can't be had from {mirror}: the operator sets FUNAI_DEBIAN_MIRROR, or bring a "
            "Dockerfile"
        ),
    ),
    "peers_conflict": (
        "依赖的版本互相冲突（peerDependencies）：请调整版本，或在 .npmrc 中写 legacy-peer-deps=true 并提交",
        (
            "packages want different versions of another (peerDependencies): change the versions, or write "
            "legacy-peer-deps=true into .npmrc and commit it"
        ),
    ),
    "prisma_engines": (
        (
            "Prisma 的引擎取不到（binaries.prisma.sh）：funai env set --build PRISMA_ENGINES_MIRROR=镜像地址，"
            "例如 https://registry.npmmirror.com/-/binary/prisma"
        ),
        (
            "Prisma's engines can't be fetched from binaries.prisma.sh: name a mirror with funai env set --build "
            "PRISMA_ENGINES_MIRROR=…, such as https://registry.npmmirror.com/-/binary/prisma"
        ),
    ),
    "old_webpack": (
        "webpack 4 不支持 Node 17 以上的 OpenSSL：升级它，或 funai env set --build NODE_OPTIONS=--openssl-legacy-provider",
        (
            "webpack 4 can't work with the OpenSSL of Node 17 and newer: upgrade it, or "
            "funai env set --build NODE_OPTIONS=--openssl-legacy-provider"
        ),
    ),
    "build_program": (
        "构建运行 {program}，镜像里没有它：把提供它的包加入 package.json 并提交（自带 Dockerfile 的在其中安装）",
        (
            "the build runs {program}, which is not in the image: add its package to package.json and commit (or install it in "
            "the Dockerfile)"
        ),
    ),
    "package_missing": (
        "找不到 {module}：若它是 npm 包，运行 npm install {module}，提交 package.json 和锁文件",
        "{module} is not there: if it is an npm package, run npm install {module} and commit package.json and the lock file",
    ),
    "file_missing": (
        "找不到 {module}：文件须已提交，且大小写与 import 完全一致（Linux 区分大小写）",
        "{module} is not there: commit the file, with its name written exactly as the import has it (Linux minds the case)",
    ),
    "npm_gave_up": (
        "npm 没有装上依赖却以 0 退出：多半是软件包仓库连不上，或其证书不受信任；构建已终止，未保留任何层",
        (
            "npm gave up without installing, yet ended with exit status 0: most likely its package registry can't be reached "
            "or its certificate isn't trusted; the build was ended and no layer is kept"
        ),
    ),
    "killed_for_memory": (
        "构建中有进程因内存超限被终止，但该步骤仍以 0 退出：镜像可能不完整（上限 {limit}，RUNNER_BUILD_MEMORY_BYTES）",
        (
            "a process of the build was killed for memory although its step ended well: the image may be incomplete "
            "(limit {limit}, RUNNER_BUILD_MEMORY_BYTES)"
        ),
    ),
    "processes_limit": ("进程数达到上限 {n}", "the limit of {n} processes was reached"),
    "open_files_limit": ("平台限制每个进程打开 {n} 个文件", "the platform's limit of {n} open files, RUNNER_BUILD_FILES"),
    "memory_limit": ("内存曾达到上限", "the memory limit was reached: {limit}"),
    "variables_unseen": (
        "{names}：打包工具在构建时读取，但构建看不到它；请用 funai env set --build {listed}",
        "read by bundlers at build time, which doesn't see it: funai env set --build {listed}",
    ),
    "variables_undeclared": (
        "Dockerfile 没有声明构建变量；请在使用它的 RUN 之前加上 {lines}",
        "the Dockerfile doesn't declare build variables; add {lines} before the RUN that uses it",
    ),
    # rollout
    "node_without_registry": ("节点无法访问镜像仓库，重试", "the node can't reach the registry: once more"),
    "earlier_rollout": ("等待上一次部署结束", "waiting for an earlier roll-out of this app to end"),
    "unreachable_from_runner": (
        "无法从执行者访问 {url}（{last}），以容器在运行为准",
        "can't be reached from the runner: the container runs",
    ),
    "still_starting": (
        "容器已运行，尚未通过健康检查，节点继续上线",
        "the container runs and has not passed its health check yet; the node goes on with the rollout",
    ),
}


def both(name: str, /, **known: object) -> str:
    """``Chinese / English``."""
    zh, en = LINES[name]
    return f"{zh.format(**known)} / {en.format(**known)}"
