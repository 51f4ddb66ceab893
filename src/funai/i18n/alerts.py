"""Alerts for operators, by reason, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping

ALERTS: dict[str, tuple[str, str]] = {
    "NODE_SILENT": (
        "节点 {node} 失联：Deploy 收不到心跳，其上 {apps} 个应用无法部署；检查机器与 fun-ai-studio-runtime 服务",
        "node {node} is silent: Deploy hears no heartbeat, its {apps} apps take no deploy; check the machine and its agent",
    ),
    "NODE_UNHEALTHY": (
        "节点 {node} 磁盘只剩 {free}%：不再接收任何部署；请清理磁盘或迁走应用",
        "node {node} has {free} % of its disk free and takes no deploy: free some, or drain it",
    ),
    "NODE_DISK_LOW": (
        "节点 {node} 磁盘只剩 {free}%：不再接收新应用；请清理磁盘或增加节点",
        "node {node} has {free} % of its disk free and takes no new app: free some, or add a node",
    ),
    "APPS_CRASHING": (
        "节点 {node} 上有 {count} 个应用反复退出：{ids}；用 funai logs 查看原因",
        "{count} apps of node {node} keep crashing: {ids}; funai logs shows why",
    ),
    "NO_RUNNER": (
        "没有健康的 Runner：任何应用都无法部署；检查 Runner 的机器与 fun-ai-studio-runner 服务",
        "no Runner is healthy and nothing is deployed: check the Runners' machines and services",
    ),
    "QUEUE_STUCK": (
        "有任务排队 {minutes} 分钟仍没有 Runner 领取：增加 Runner 或 RUNNER_SLOTS",
        "a job has waited {minutes} min and no Runner takes it: more Runners, or more RUNNER_SLOTS",
    ),
    "RETENTION_FAILING": (
        "镜像清理失败：旧镜像留在仓库中；原因见 Deploy 日志 retention.registry_failed",
        "retention fails and old images stay in the registry: see retention.registry_failed in Deploy's log",
    ),
    "CERTIFICATE_ENDS": (
        "域名 {domain} 的证书还有 {days} 天到期：续期没有成功，用 funai domains list 查看原因",
        "the certificate of {domain} ends in {days} days: its renewal fails, funai domains list shows why",
    ),
    "GATEWAY_CERTIFICATE_ENDS": (
        "网关 {gateway} 的证书 {certificate} 还有 {days} 天到期：检查 ACME 客户端或 gateway.tls-dir",
        "the certificate {certificate} at the gateway {gateway} ends in {days} days: check the ACME client, or gateway.tls-dir",
    ),
    "GATEWAY_ERRORS": (
        "网关 {gateway} 一分钟内有 {failed} 个请求（{share}%）返回 5xx：access.log 里有每个请求",
        "the gateway {gateway} answered {failed} requests of a minute ({share} %) with 5xx: its access.log has each of them",
    ),
    "firing": ("告警", "ALERT"),
    "again": ("仍在告警", "STILL"),
    "recovered": ("已恢复", "RECOVERED"),
}


def alert_words(name: str, language: str, about: Mapping[str, object]) -> str:
    return ALERTS[name][1 if language == "en" else 0].format(**about)
