"""What ``funai up``, ``funai demo`` and the set-up say at the terminal, in Chinese and English: the language of the CLI."""

from __future__ import annotations

import os

from funai.contracts.states import JobStatus
from funai.i18n.cli import PHRASES as DEPLOY_PHRASES
from funai.i18n.cli import phrase as deploy_phrase
from funai.i18n.language import pick

PHRASES: dict[str, tuple[str, str]] = {
    # funai up
    "finding_engine": ("正在寻找容器引擎", "finding the container engine"),
    "config_written": ("已写入 {file}：可设置的都在里面，附有说明", "wrote {file}: what can be set, with its meaning"),
    "config_fine": ("配置可用", "the configuration can be used"),
    "config_none": ("还没有 {file}；第一次 funai up 会写一个", "there is no {file} yet; the first funai up writes one"),
    "default": ("默认", "default"),
    "idle": (
        "{name}（来自 {source}）没有作用：还要设置 {wanted}",
        "{name} (from {source}) changes nothing: it needs {wanted}",
    ),
    "backed_up": ("已写入 {file}：{count} 个文件，{size}", "wrote {file}: {count} files, {size}"),
    "backup_secret": (
        "里面有所有密钥：只留给自己，放到别的机器上",
        "it holds every secret: keep it to yourself, and on another machine",
    ),
    "backup_no_images": (
        "镜像不在其中：恢复后每个应用要重新部署一次（funai deploy）",
        "images are not in it: after a restore each app needs a deploy (funai deploy)",
    ),
    "backup_no_databases": (
        "应用的数据库不在其中：用 funai db backup，或在 funai.toml 里打开定时备份",
        "apps' databases are not in it: use funai db backup, or switch backups by the clock on in funai.toml",
    ),
    "backup_no_platform": (
        "{folder} 里没有平台；用 --data-dir 指定它的数据目录",
        "{folder}: there is no platform; name its data dir with --data-dir",
    ),
    "backup_there": ("{file} 已经存在；请换一个文件名", "{file}: is there already; name another file"),
    "backup_unwritten": ("{file}：备份写不出来：{why}", "{file}: the backup could not be written: {why}"),
    "restore_not_empty": (
        "{folder} 不是空的；请先移走它，或用 --data-dir 指定别的目录",
        "{folder}: is not empty; move it aside, or name another folder with --data-dir",
    ),
    "restore_not_whole": ("{file}：备份不完整", "{file}: the backup is not whole"),
    "restore_no_backup": ("{file} 不是 FunAI Deploy 的备份", "{file}: is no backup of FunAI Deploy"),
    "restore_newer": (
        "{file} 由更新的 FunAI Deploy {version} 写成；请先升级本机",
        "{file}: written by FunAI Deploy {version}, which is newer; upgrade this one first",
    ),
    "restore_failed": ("{file} 无法恢复：{why}", "{file}: can't be restored: {why}"),
    "restored": (
        "已恢复到 {folder}（{created} 的备份，版本 {version}）",
        "restored to {folder} ({created}, version {version})",
    ),
    "restored_next": (
        "启动：funai up --data-dir {folder}；应用用 funai start 从镜像启动",
        "start it: funai up --data-dir {folder}; bring apps up from their images with funai start",
    ),
    "upgraded": (
        "已从 {old} 升级到 {new}，启动即可；退回：funai upgrade --back（之前的数据库在 {kept}）",
        "upgraded from {old} to {new}: start it; the way back: funai upgrade --back (the databases of before are in {kept})",
    ),
    "upgrade_back": (
        "已从 {old} 退回 {new}，启动即可；较新的数据库留在 {kept}",
        "back from {old} to {new}: start it; the newer databases are kept in {kept}",
    ),
    "upgrade_checkout": (
        "这是代码仓库，不是安装的包：git pull && make setup；先 funai backup",
        "this is a working tree, not an installed package: funai backup, then git pull && make setup",
    ),
    "upgrade_no_pip": (
        "这个环境里没有 pip：先 funai backup，再用安装它的工具升级（pipx upgrade、uv tool upgrade）",
        "there is no pip here: funai backup, then upgrade with what installed it (pipx upgrade, uv tool upgrade)",
    ),
    "upgrade_no_way_back": ("{folder} 没有升级过，无从退回", "{folder} was not upgraded: there is no way back to take"),
    "unit_root": (
        "--install 要写 /etc/systemd/system：请用 root 运行",
        "--install writes to /etc/systemd/system: run it as root",
    ),
    "unit_no_systemd": (
        "本机不由 systemd 管理：请用自己的方式运行 funai up",
        "this machine isn't run by systemd: run funai up by its own means",
    ),
    "unit_installed": (
        "已安装 {file} 并启动。日志：journalctl -u {name}",
        "installed {file} and started it. Its log: journalctl -u {name}",
    ),
    "no_postgres": ("应用没有 PostgreSQL 可用：{why}", "no PostgreSQL for apps: {why}"),
    "no_mongo": (
        "应用的 MongoDB 容器没有启动：{why}；请改 [databases] 的 mongo_image 或 mongo，镜像源是 builds.image_mirror",
        "MongoDB's container did not start: {why}; change databases.mongo_image or databases.mongo, or builds.image_mirror",
    ),
    "mongo_pull": ("正在拉取 {image}", "pulling {image}"),
    "mongo_image": ("应用的 MongoDB：{image}（{digest}）", "MongoDB for apps: {image} ({digest})"),
    "mongo_no_avx": (
        "本机 CPU 没有 AVX，MongoDB 5 及以上不能运行：用 docker.io/library/mongo:4.4",
        "this CPU has no AVX, without which MongoDB 5 and later don't run: take docker.io/library/mongo:4.4",
    ),
    "mongo_back": ("已恢复应用的 {count} 个 MongoDB 数据库", "brought back {count} MongoDB databases of apps"),
    "starting_services": ("正在启动各个服务", "starting the services"),
    "stopping": (
        "正在停止：先做完手头的事（应用容器继续运行）",
        "stopping: finishing what is in hand (app containers stay)",
    ),
    "stopped": ("已停止", "stopped"),
    "is_up": ("FunAI 已启动（{seconds} 秒）", "FunAI is up ({seconds} s)"),
    "git_key": ("密钥指纹 {fingerprint}", "key fingerprint {fingerprint}"),
    "apps": ("应用", "Apps"),
    "engine": ("容器引擎", "Engine"),
    "state": ("数据", "State"),
    "log": ("日志", "Log"),
    "admin": ("管理员", "Admin"),
    "admin_known": (
        "{user}（初始密码：{file} 里的 admin_password）",
        "{user} (first password: admin_password in {file})",
    ),
    "adopted": ("沿用", "Adopted"),
    "adopted_what": ("上次运行留下的 {names}", "{names} from the last run"),
    "next": ("下一步", "Next"),
    "next_steps": (
        "funai login{server}，然后 funai keys add、funai apps create、git push、funai deploy",
        "funai login{server}, then funai keys add, funai apps create, git push, funai deploy",
    ),
    "part_died": ("{part}意外退出，正在重新启动", "{part} died: starting it again"),
    "part_frozen": ("{part}没有响应，正在换一个新的", "{part} does not answer: replacing it"),
    "part_back": ("{part}已恢复（{seconds} 秒后）", "{part} runs again (after {seconds} s)"),
    "part_failed": ("{part}启动失败，会继续尝试：{why}", "{part} can't be started, and is tried again: {why}"),
    "part_flaps": (
        "{part}第 {count} 次退出；运行满一分钟之前不再提示，详见 {log}",
        "{part} died {count} times: not shown again until it has run for a minute; see {log}",
    ),
    "part_haproxy": ("网关（HAProxy）", "the gateway (HAProxy)"),
    "part_keeper": ("网关的守护进程", "the gateway's keeper"),
    "part_registry": ("镜像仓库", "the registry"),
    "part_engine": ("容器引擎的 API ", "the container engine's API"),
    "part_postgres": ("应用的 PostgreSQL ", "the apps' PostgreSQL"),
    # the engine and the base image
    "podman_other_conf": (
        "podman 以「{why}」跑不起容器，换一种配置再试",
        "podman can't run a container with {why}; trying another configuration",
    ),
    "docker_cant": (
        "docker 守护进程有应答，但跑不起容器",
        "docker's daemon answers, but it can't run a container",
    ),
    "pulling": ("正在拉取 {image}（最多 {seconds} 秒）", "pulling {image} (at most {seconds} s)"),
    "pull_slow": ("拉取太慢，放弃", "the pull takes too long"),
    "pull_failed": ("拉取失败：{why}", "it can't be pulled: {why}"),
    "making": (
        "在本机制作 {image}：用 mmdebstrap 装 Debian {suite}，用 pip 装 Node {node}",
        "making {image} here: Debian {suite} by mmdebstrap, Node {node} by pip",
    ),
    "importing": ("正在导入", "importing it"),
    "engine_is": ("容器引擎：{engine}", "engine: {engine}"),
    "base_is": ("基础镜像：{image}（{origin}）", "base image: {image} ({origin})"),
    "origin_present": ("已有", "present"),
    "origin_pulled": ("已拉取", "pulled"),
    "origin_made": ("本机制作", "made here"),
    "no_engine": ("本机没有可用的容器引擎。\n  {why}", "No container engine works here.\n  {why}"),
    "no_engine_mend": (
        "请启动 Docker 守护进程，或安装 Podman（apt-get install podman runc netavark aardvark-dns iptables）。",
        "Start Docker's daemon, or install Podman (apt-get install podman runc netavark aardvark-dns iptables).",
    ),
    "no_base": ("得不到基础镜像：{why}", "The base image can't be had: {why}"),
    # funai demo
    "demo_up": ("平台已启动", "the platform is up"),
    "demo_user": ("注册用户并登记 SSH 公钥", "register a user with an SSH key"),
    "demo_push": ("创建应用，用 SSH 推送代码", "create an app and git push it over SSH"),
    "demo_deploy": ("从 Git 部署", "deploy from Git"),
    "demo_change": ("改一行并推送", "change a line and push"),
    "demo_redeploy": ("重新部署", "redeploy"),
    "demo_image": ("制作一个监听 80 端口的镜像", "make a prebuilt image that listens on port 80"),
    "demo_deploy_image": ("部署该镜像", "deploy the prebuilt image"),
    "demo_clean": ("正在删除应用和它们的镜像", "removing the apps and their images"),
    "demo_kept": (
        "用户 {user} / {password}；按 Ctrl-C 结束并全部删除",
        "user {user} / {password}; Ctrl-C ends it and removes everything",
    ),
    "demo_times": ("时间花在哪里", "Where the time went"),
    "demo_step": ("步骤", "step"),
    "demo_seconds": ("秒", "seconds"),
    "demo_phases": ("各阶段（毫秒）", "phases (ms)"),
    "demo_all": ("全部，含平台启动", "everything, with the platform's start"),
    "demo_interrupted": ("已中断", "interrupted"),
    "demo_log": ("平台日志保存在 {file}", "the platform's log is kept in {file}"),
    "demo_no_example": (
        "找不到 examples/hello-node：请在代码仓库里运行，或用 --example 指定",
        "examples/hello-node is not here; run it from the repository, or give --example",
    ),
    "demo_still": ("任务 {job} 过了 {seconds} 秒仍是 {status}", "job {job} is still {status} after {seconds} s"),
    "demo_ended": ("任务 {job} 以 {status} 结束：{why}", "job {job} ended {status}: {why}"),
    "demo_no_repo": ("API 没有给出应用的仓库地址", "the API gave the app no repository address"),
    "demo_git": ("git {verb} 失败：{why}", "git {verb} failed: {why}"),
    "demo_no_image": ("镜像制作失败：{why}", "the prebuilt image could not be made: {why}"),
    "demo_page": ("{url} 上没有 {expected}，看到的是 {seen}", "{url} does not show {expected} but {seen}"),
}


def language() -> str:
    """``zh`` or ``en``, as for every verb."""
    return pick(os.environ)


def phase_words(phase: str) -> str:
    """A phase, or what a job without one is at, as ``funai deploy`` calls it; a part of a phase stays as it is."""
    name = "QUEUED" if phase == JobStatus.PENDING else phase
    return deploy_phrase(f"phase_{name}", language()) if f"phase_{name}" in DEPLOY_PHRASES else phase.lower()


def phrase(name: str, /, **known: object) -> str:
    """The phrase in the language of who sits at the terminal."""
    zh, en = PHRASES[name]
    return (en if language() == "en" else zh).format(**known)
