"""What the command line itself says, in Chinese and English. Pure."""

from __future__ import annotations

PHRASES: dict[str, tuple[str, str]] = {
    "error": ("错误", "error"),
    "next": ("下一步", "next"),
    "logged_in": ("已登录 {server}，用户 {user}", "logged in to {server} as {user}"),
    "logged_out": ("已退出 {server}", "logged out of {server}"),
    "not_logged_in": ("没有登录 {server}", "not logged in to {server}"),
    "registered": ("已注册 {user}", "registered {user}"),
    "password_changed": ("密码已修改，其他登录已失效", "the password is changed; every other login has ended"),
    "api_key_once": (
        "只显示这一次；之前的密钥已失效。脚本里用 FUNAI_API_KEY",
        "shown this once, and the key before it has ended; scripts take it from FUNAI_API_KEY",
    ),
    "password_stdin_two": (
        "标准输入须有两行：旧密码和新密码",
        "standard input must have two lines: the old password and the new one",
    ),
    "password_stdin_empty": ("标准输入里没有密码", "no password on standard input"),
    "password_no_tty": (
        "没有终端可输入密码：用 --password-stdin",
        "there is no terminal to ask for the password on: use --password-stdin",
    ),
    "no_keys": ("还没有 SSH 公钥：funai keys add", "no SSH keys yet: funai keys add"),
    "key_added": ("已添加公钥 {title}（{fingerprint}）", "added key {title} ({fingerprint})"),
    "key_removed": ("已删除公钥 {id}", "removed key {id}"),
    "key_missing": (
        "找不到公钥 {path}。生成一个：ssh-keygen -t ed25519，然后再运行 funai keys add",
        "no public key at {path}. Make one: ssh-keygen -t ed25519, then run funai keys add again",
    ),
    "key_offer": ("没有找到公钥 {path}。现在生成？", "there is no public key at {path}. Make one now?"),
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
    "no_jobs": ("还没有任务：funai deploy", "no jobs yet: funai deploy"),
    "no_deploys": ("没有部署中的应用：funai deploy APP", "nothing is deployed yet: funai deploy APP"),
    "no_active_job": ("没有进行中的任务", "there is no job under way"),
    "no_releases": ("还没有成功的部署：funai deploy", "no successful deploys yet: funai deploy"),
    "no_env": ("没有环境变量：funai env set NAME=VALUE", "no variables yet: funai env set NAME=VALUE"),
    "env_saved": ("已保存；下次部署时生效：funai deploy {app}", "saved; in force from the next deploy: funai deploy {app}"),
    "env_bad": ("{text}：须形如 NAME=VALUE", "{text}: must look like NAME=VALUE"),
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
        "没有 {path}：funai init 只会写 Node 应用的 Dockerfile，其他应用请自己写一个",
        "there is no {path}: funai init writes the Dockerfile of Node apps; write your own for anything else",
    ),
    "no_nodes": ("还没有运行节点上报心跳", "no runtime node has reported yet"),
    "upgraded": ("数据库已是最新：{rooms}", "the database is up to date: {rooms}"),
}


def phrase(name: str, language: str, /, **known: object) -> str:
    """The phrase in ``zh`` or ``en`` with its placeholders filled."""
    zh, en = PHRASES[name]
    return (en if language == "en" else zh).format(**known)
