"""What an agent and a gateway say of an app, in Chinese and English."""

from __future__ import annotations

from funai.contracts.reasons import Reason

ROLLOUTS: dict[str, tuple[str, str]] = {
    # agent
    Reason.STALE_GENERATION: ("已有更新的版本在运行", "a newer generation is already live"),
    Reason.DEPLOY_IN_PROGRESS: ("该应用正在部署", "that app is being deployed"),
    # the gateway's own pages
    Reason.APP_STOPPED: ("应用已停止", "the app is stopped"),
    Reason.APP_STARTING: ("应用正在启动，请稍候", "the app is starting; one moment"),
    Reason.APP_UNREACHABLE: ("应用没有响应", "the app does not answer"),
    Reason.NODE_AWAY: ("应用所在的节点暂时无法访问", "the app's node can't be reached at the moment"),
    Reason.APP_TIMEOUT: ("应用响应超时", "the app took too long to answer"),
    Reason.APP_BUSY: ("应用当前请求过多，请稍后再试", "the app has too many requests in hand; try again soon"),
    Reason.APP_REPLACED: ("应用的新版本已接替", "another version of the app took over"),
    Reason.APP_HEAD_TOO_LARGE: ("应用的响应头过大", "the app's answer has too large a head"),
    Reason.GATEWAY_BUSY: ("网关当前请求过多，请稍后再试", "the gateway has too many requests in hand; try again soon"),
    Reason.PATH_REFUSED: ("请求路径不合法", "that path is not acceptable"),
    # a rollout that failed: the agent's words
    Reason.APP_EXITED: ("应用启动后退出（退出码 {exit}）{cause}", "the app exited after its start (exit status {exit}){cause}"),
    Reason.APP_OUT_OF_MEMORY: (
        "应用内存超过上限 {limit}，被系统终止",
        "the app used more than its {limit} of memory and was ended",
    ),
    Reason.APP_NOT_LISTENING: (
        "应用在 {seconds} 秒内没有监听端口 {port}{seen}",
        "the app did not listen on port {port} within {seconds} s{seen}",
    ),
    Reason.APP_SPEAKS_HTTP2: (
        "应用在端口 {port} 上只支持 HTTP/2；平台用 HTTP/1.1 与应用通信",
        "the app speaks HTTP/2 only at port {port}; this platform speaks HTTP/1.1 to apps",
    ),
    Reason.APP_UNHEALTHY: (
        "应用在 {seconds} 秒内没有通过健康检查 {path}：{detail}",
        "the app did not become healthy at {path} within {seconds} s: {detail}",
    ),
    Reason.IMAGE_NOT_FOUND: ("无法拉取镜像 {image}：{detail}", "image {image} can't be pulled: {detail}"),
    Reason.IMAGE_UNUSABLE: ("镜像无法启动，容器引擎的原话：{detail}", "the image can't be started; the engine says: {detail}"),
    Reason.REGISTRY_UNREACHABLE: ("连不上镜像仓库 {registry}", "the registry {registry} can't be reached"),
    Reason.REGISTRY_AUTH: ("镜像仓库 {registry} 拒绝了节点的登录", "registry {registry} refused the node's login"),
    Reason.GATEWAY_FAILED: ("网关没有切换到新版本：{detail}", "the gateway did not switch to the new version: {detail}"),
    Reason.ENGINE_FAILED: ("容器引擎拒绝了请求：{detail}", "the container engine refused: {detail}"),
    Reason.ENGINE_UNREACHABLE: ("容器引擎无响应：{detail}", "the container engine does not answer: {detail}"),
    Reason.BASE_PATH_UNSUPPORTED: (
        "网关只能以 {expected} 提供该应用，收到 basePath {given}",
        "the gateway serves this app at {expected} only; got basePath {given}",
    ),
    Reason.ROLLOUT_INTERRUPTED: ("部署被停止、删除或调用方断开中断", "the rollout was ended by a stop, a delete or the caller"),
    Reason.ROLLOUT_GOES_ON: (
        "镜像仍在拉取，节点继续部署；稍后再次部署即可看到结果",
        "the image is still being pulled and the node goes on with it; deploy again in a while to see how it ended",
    ),
    Reason.RELEASE_NOT_KEPT: (
        "节点上没有保留该应用的版本，请重新部署",
        "this node keeps no release of the app; deploy it again",
    ),
    Reason.LOG_STREAMS: (
        "同时跟踪的日志已达上限 {limit}，请先关闭一个",
        "at most {limit} followed logs at a time; close one first",
    ),
    Reason.LOG_STREAMS_ALL: (
        "平台正在跟踪的日志已达上限 {limit}（funai.limits.log-streams，由运维设置），请稍后再试",
        "the platform follows {limit} logs already (funai.limits.log-streams, the operator's setting); try again later",
    ),
}
