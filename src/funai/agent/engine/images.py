"""The images of a Docker or a Podman."""

from __future__ import annotations

import json

import aiodocker

from funai.agent.engine import readings
from funai.agent.engine.client import OnEngine, again, authorization, mapped
from funai.agent.engine.contract import EngineRefused, EngineUnreachable, Image, Login, NoSuchImage, PullFailed, StoredImage
from funai.contracts import rules


class DockerImages(OnEngine):
    async def image(self, ref: str) -> Image:
        with mapped(missing=NoSuchImage):
            return readings.image(await again(lambda: self._api.images.inspect(ref)))

    async def pull(self, ref: str, login: Login | None) -> Image:
        parsed = rules.parse_image(ref)
        tag = parsed.digest or parsed.tag or "latest"
        lines = b""
        try:
            async for piece in self._client.stream(
                "POST", "images/create", {"fromImage": parsed.repository, "tag": tag}, headers=authorization(login)
            ):
                *whole, lines = (lines + piece).split(b"\n")
                _check_progress(whole)
            _check_progress([lines])
        except EngineRefused as e:
            raise PullFailed(str(e)) from e
        exact = f"{parsed.repository}@{parsed.digest}" if parsed.digest else f"{parsed.repository}:{tag}"
        try:
            return await self.image(exact)
        except NoSuchImage as e:
            # No error was sent, and nothing is there: the stream broke off.
            raise EngineUnreachable(f"the engine ended the pull of {exact} without a result") from e

    async def remove_image(self, ref: str) -> bool:
        with mapped(missing=NoSuchImage):
            try:
                await self._api.images.delete(ref)
            except aiodocker.DockerError as e:
                if e.status in (404, 409):
                    return False
                raise
        return True

    async def images(self) -> list[StoredImage]:
        with mapped():
            rows = await again(self._api.images.list)
        return [image for row in rows if (image := readings.stored(row))]

    async def images_in_use(self) -> frozenset[str]:
        with mapped():
            rows = await again(lambda: self._api.containers.list(all=True))
        return frozenset(readings.bare(str(row["ImageID"])) for row in rows)


def _check_progress(lines: list[bytes]) -> None:
    """Raises PullFailed with the words of a line of progress that tells a failure, EngineUnreachable when one can't be read."""
    for line in filter(None, (line.strip() for line in lines)):
        try:
            error = json.loads(line).get("error")
        except (ValueError, AttributeError) as e:
            raise EngineUnreachable("the engine's progress of a pull can't be read") from e
        if error:
            raise PullFailed(str(error))
