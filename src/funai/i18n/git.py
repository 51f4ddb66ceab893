"""What the Git server says to the person at the terminal: in Chinese and in English, for SSH tells no language."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "no_shell": (
        "公钥有效，但这里没有 shell：请用 git clone、fetch 或 push",
        "the key works, but there is no shell here: use git clone, fetch or push",
    ),
    "git_only": ("这里只支持 git clone、fetch 和 push", "only git clone, fetch and push are served here"),
    "lfs": (
        "不支持 Git LFS：git lfs uninstall 后把文件直接提交，或推送时设 GIT_LFS_SKIP_PUSH=1",
        "Git LFS is not supported here: git lfs uninstall and commit the files themselves, or push with GIT_LFS_SKIP_PUSH=1",
    ),
    "unknown_repo": ("仓库不存在或无权访问", "no such repository, or not yours"),
    "busy": ("同时进行的 git 操作太多，请稍后再试", "too many git operations at once; try again in a moment"),
    "cant_ask": ("平台暂时无法核对你的权限，请稍后再试", "the platform can't check your access right now; try again soon"),
    "too_large": (
        "仓库超过 {limit} MiB：请先从历史中移除大文件",
        "the repository is larger than {limit} MiB: remove large files from its history first",
    ),
    "too_slow": ("超过 {seconds} 秒，已中止", "this took longer than {seconds} s and was ended"),
    "nothing_sent": (
        "上次推送什么都没有收到。不支持 SHA-256 仓库：在新目录里 git init --object-format=sha1，复制文件，提交后推送",
        "the last push sent nothing. SHA-256 is unsupported: git init --object-format=sha1 elsewhere, copy, commit and push",
    ),
    "internal": ("内部错误，请重试", "internal error; try again"),
    "other_branch": (
        "部署默认取 {wanted} 分支，仓库里只有 {there}。推送：git push origin HEAD:{wanted}，或部署时用 --ref",
        "a deploy takes the branch {wanted}; this repository has {there}. Push: git push origin HEAD:{wanted}, or use --ref",
    ),
}


def told(name: str, /, **known: object) -> str:
    """Both languages, a line each."""
    return "\n".join(f"FunAI: {text.format(**known)}" for text in WORDS[name])
