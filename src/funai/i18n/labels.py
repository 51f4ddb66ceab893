"""Headings and labels of tables in Chinese; in English they are what the code calls them. Pure.

States (READY, FAILED, …) stay as they are on the wire: they are what the documents and ``--json`` say too.
"""

from __future__ import annotations

from unicodedata import east_asian_width

CHINESE = {
    "app": "应用",
    "apps": "应用",
    "status": "状态",
    "url": "地址",
    "name": "名称",
    "value": "值",
    "build": "构建",
    "last job": "最近任务",
    "phase": "阶段",
    "node": "节点",
    "from": "来源",
    "when": "时间",
    "took": "用时",
    "why": "原因",
    "release": "版本",
    "live": "在线",
    "at (UTC)": "时间 (UTC)",
    "ref": "分支",
    "commit": "提交",
    "digest": "摘要",
    "job": "任务",
    "repository": "仓库",
    "description": "描述",
    "server": "服务器",
    "user": "用户",
    "admin": "管理员",
    "port": "端口",
    "title": "标题",
    "fingerprint": "指纹",
    "added": "添加于",
    "created": "创建于",
    "last active": "最近活跃",
    "health": "健康",
    "free disk": "空闲磁盘",
    "free memory": "空闲内存",
    "versions": "版本",
    "gateway": "网关",
    "healthy": "健康",
    "jobs": "任务",
    "containers": "容器",
    "last seen": "最近出现",
    "config": "配置",
    "domain": "域名",
    "alias": "别名地址",
    "state": "状态",
    "certificate until": "证书到期",
    "login": "登录",
    "ssh key": "SSH 公钥",
    "git server": "Git 服务器",
    "engine": "容器引擎",
    "port 53": "53 端口",
    "runtime-agent": "运行节点代理",
    "deploy": "部署控制面",
    "nodes": "节点",
    "runners": "Runner",
    "rollback": "回滚",
    "delete": "删除",
    "requests": "请求",
    "5xx": "5xx",
    "average": "平均",
    "slowest": "最慢",
    "in": "流入",
    "out": "流出",
    "cpu": "CPU",
    "memory": "内存",
    "sandbox": "构建沙箱",
    "to node": "移到节点",
    "why it stays": "未移走的原因",
    "crash looping": "反复退出的应用",
    "kind": "类型",
    "size": "大小",
    "quota": "配额",
    "backup": "备份",
    "what": "对象",
    "secret": "保密",
    "serves": "在线版本",
    "runtime": "运行情况",
    "output": "输出",
    "last error": "最近错误",
    "runner": "Runner",
}


def label(word: str, language: str) -> str:
    """A heading in ``zh`` or ``en``; one without a translation stays as it is."""
    if language != "zh":
        return word
    head, space, number = word.partition(" ")
    return f"{CHINESE[head]} {number}" if space and number.isdecimal() and head in CHINESE else CHINESE.get(word, word)


def cells(text: str) -> int:
    """How many terminal cells a text takes."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
