"""Which images a build may stand on: public ones, the app's own and the operator's base images, and no others.

The engine has every app's images and stands in the platform's network, so a reference reaches neither another app's image
nor a private address that the operator did not name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from funai.contracts.apps.addresses import is_private
from funai.contracts.errors import BadInput
from funai.contracts.rules import ImageRef, full_name, parse_image
from funai.i18n.reasons import Words

_TRANSPORT = re.compile(
    r"(containers-storage|docker-daemon|docker-archive|oci|oci-archive|dir|sif|ostree|tarball|atomic):|\w[\w+-]*:/",
    re.IGNORECASE,
)
_IMAGE_ID = re.compile(r"sha256:.*|[0-9a-f]{12,64}", re.IGNORECASE)
_APPS_NAME = re.compile(r"(?:.*/)?u[1-9]\d*-app[1-9]\d*(?:[:@].*)?", re.IGNORECASE)
"""An app's image under whatever registry's name: an engine finds ``u1-app1`` among what it built for others."""
_APP_BEGINS = re.compile(r"(?:u(?:[1-9]\d*(?:-(?:a(?:p(?:p(?:[1-9]\d*)?)?)?)?)?)?)?")
"""Everything that the name of an app's repository can begin with."""

OTHERS = Words("这是其他应用的镜像", "it is another app's")
NO_NAME = Words("这不是镜像名（须小写，形如 node:20）", "it is no image's name (lower case, as in node:20)")
PLATFORM = Words(
    "平台仓库中只有 RUNNER_BASE_IMAGES 列出的基础镜像可用",
    "of the platform's registry only the base images of RUNNER_BASE_IMAGES may be",
)
PRIVATE = Words(
    "它的仓库是内网地址；须由运维在 RUNNER_PRIVATE_REGISTRIES 中列出",
    "its registry is a private address, which the operator has to list in RUNNER_PRIVATE_REGISTRIES",
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be built on. ``registries`` are the platform's ``host[:port]``, ``own`` is the app's repository with its
    registry ("" when it is not known), ``bases`` are prefixes of full names, ``private`` registries at private addresses.

    ``complete``: these are all of the operator's lists; without that an image of a private registry may be right or wrong.
    """

    registries: tuple[str, ...] = ()
    own: str = ""
    bases: tuple[str, ...] = ()
    private: frozenset[str] = frozenset()
    complete: bool = True

    def owns(self, image: str) -> bool:
        """Whether it is the app's own, for which the platform's login may be used."""
        return bool(self.own) and re.fullmatch(re.escape(self.own) + r"([:@].*)?", image, re.IGNORECASE) is not None

    def base(self, image: str) -> bool:
        """Whether it is a base image of the platform's own registry, which every app may build on."""
        return not _APPS_NAME.fullmatch(image) and any(image.lower().startswith(prefix.lower()) for prefix in self.bases)

    def refusal(self, image: str) -> Words | None:
        """Why the image may not be used, None when it may."""
        if self.owns(image):
            return None
        if _APPS_NAME.fullmatch(image):
            return OTHERS
        if _TRANSPORT.match(image) or _IMAGE_ID.fullmatch(image):
            return NO_NAME
        try:
            ref = parse_image(image)
        except BadInput:
            return NO_NAME
        if self.base(full_name(ref)):
            return None
        registry = ref.registry.lower()
        if registry in (r.lower() for r in self.registries):
            return PLATFORM
        named = {*(p.lower() for p in self.private), *(b.partition("/")[0].lower() for b in self.bases)}
        return PRIVATE if self.complete and registry not in named and is_private(registry) else None

    def foreign(self, image: str) -> bool:
        """Whether it is another app's, or an image of the platform's registry that is no base image."""
        return self.refusal(image) in (OTHERS, PLATFORM)

    def doubt(self, image: str) -> bool:
        """Whether only the platform can tell: the image is of a private registry, and its lists are not known here."""
        return not self.complete and self.refusal(image) is None and replace(self, complete=True).refusal(image) is PRIVATE


def check_base_prefixes(prefixes: Iterable[str]) -> list[str]:
    """The prefixes as they stand. Raises ValueError for one that could match an app's own repository, in whatever case."""
    checked = list(prefixes)
    for prefix in checked:
        registry, slash, path = prefix.lower().partition("/")
        if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
            raise ValueError(f"{prefix}: begin with the registry, as in registry.example.com/namespace/base-")
        folder, inner, last = path.rpartition("/")
        if not inner or not folder or _APP_BEGINS.fullmatch(last) or _APPS_NAME.fullmatch(path):
            raise ValueError(
                f"{prefix}: the repositories of apps ({{namespace}}/u1-app1) could begin so; name the base images' own "
                "repository, as in registry.example.com/namespace/base-"
            )
    return checked


def needs_login(image: ImageRef, allowed: Allowed) -> bool:
    """Whether the platform's login is for this image."""
    name = full_name(image)
    return allowed.owns(name) or allowed.base(name)
