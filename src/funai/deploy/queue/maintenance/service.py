"""The one shape of maintenance: a config, ``start``, ``run_once``. Several instances of Deploy may run each of them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar

from funai.base.aio import periodic


class Maintenance(ABC):
    """``run_once`` does what is due now, in small transactions; ``start`` repeats it every ``every`` seconds until ``stop``."""

    name: ClassVar[str]
    every: float

    @abstractmethod
    async def run_once(self) -> object: ...

    def start(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        tasks.create_task(periodic(self.name, self.every, self.run_once, stop), name=self.name)
