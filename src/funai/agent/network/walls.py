"""The platform's addresses as Deploy handed them out: kept over a restart of the agent, and applied to the firewall."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import ValidationError

from funai.agent.network.firewall import Firewall
from funai.base.files import write_whole
from funai.base.observability import log
from funai.contracts.nodes import Walls
from funai.i18n.reasons import Words

MAX_BYTES = 4 * 1024 * 1024


class WallsKeeper:
    """``file`` None keeps nothing over a restart; ``wanted``: the operator did not switch the firewall off."""

    def __init__(self, file: Path | None, firewall: Firewall | None, *, wanted: bool = True) -> None:
        self._file, self._firewall, self._wanted = file, firewall, wanted
        self._walls: Walls | None = None

    @property
    def revision(self) -> str:
        """Of what is applied; empty before there is any."""
        return self._walls.revision if self._walls else ""

    async def load(self) -> None:
        """What was handed out in an earlier life. A file that can't be read counts as none: Deploy hands it out again."""
        if self._file is None or not self._file.exists():
            return
        try:
            text = await asyncio.to_thread(_read, self._file)
            await self._apply(Walls.model_validate_json(text))
        except (OSError, ValidationError) as e:
            log.get("walls").warning("walls.unreadable", file=str(self._file), why=type(e).__name__)

    async def heed(self, walls: Walls) -> None:
        """Applies what Deploy handed out, and keeps it."""
        await self._apply(walls)
        log.get("walls").info("walls.applied", revision=walls.revision, denied=len(walls.deny), open=len(walls.open))
        if self._file is not None:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                await asyncio.to_thread(write_whole, self._file, walls.model_dump_json())
            except OSError as e:
                log.get("walls").warning("walls.not_kept", file=str(self._file), why=str(e))

    async def _apply(self, walls: Walls) -> None:
        self._walls = walls
        if self._firewall is not None:
            await self._firewall.wall_in(walls.deny, walls.open)

    def problem(self) -> Words | None:
        """Why apps here may reach the platform's machines; None when they don't, or the operator wants no firewall."""
        if self._walls is None or not self._walls.deny or not self._wanted:
            return None
        if self._firewall is None:
            return Words(
                "本节点没有防火墙，应用可以访问平台的机器；请以 root 运行 runtime-agent、安装 iptables、"
                "使用非 rootless 的引擎，或者设 RUNTIME_FIREWALL=false 自行隔离",
                "this node has no firewall, so its apps reach the platform's machines: run the runtime-agent as root, install "
                "iptables, use an engine that is not rootless, or set RUNTIME_FIREWALL=false and keep them apart yourself",
            )
        if why := self._firewall.refusal:
            return Words(
                f"iptables 拒绝了平台的防火墙规则，应用可能访问到平台的机器：{why[:200]}",
                f"iptables refused this platform's firewall rules, so apps may reach the platform's machines: {why[:200]}",
            )
        return None


def _read(file: Path) -> bytes:
    with file.open("rb") as f:
        return f.read(MAX_BYTES)
