"""The same four steps of a job with Procrastinate: defer, fetch, heartbeat, finish."""

from __future__ import annotations

import asyncio
import time

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Status


async def procrastinate_cycles(dsn: str, clients: int, cycles: int) -> float:
    """Cycles per second, ``clients`` at once, in this process, on an empty database at ``dsn``."""
    app = App(connector=PsycopgConnector(conninfo=dsn, min_size=clients, max_size=clients))

    @app.task(name="deploy")
    async def deploy(**_: object) -> None: ...

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        manager = app.job_manager

        async def client(n: int) -> None:
            worker = await manager.register_worker()
            for i in range(cycles // clients):
                await deploy.defer_async(appId=n * cycles + i, gitRef="main", basePath=f"/runtime/{i}")
                job = await manager.fetch_job(queues=None, worker_id=worker)
                assert job is not None
                await manager.update_heartbeat(worker)
                await manager.finish_job(job=job, status=Status.FAILED, delete_job=False)

        began = time.perf_counter()
        await asyncio.gather(*(client(n) for n in range(clients)))
        return cycles / (time.perf_counter() - began)
