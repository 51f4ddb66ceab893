"""What the operator gave the services of one machine, by environment name, and where each value came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from funai.base.config.settings import Settings, env_form

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Given:
    """Empty for a platform without a configuration (``funai demo``, tests)."""

    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    fixed: dict[str, str] = field(default_factory=dict[str, str], compare=False)
    """Settings that ``funai up`` decided itself: environment name → the service's title. Filled by :meth:`load`."""

    def load(self, kind: type[S], fixed: Mapping[str, object], defaults: Mapping[str, object] | None = None) -> S:
        """A service's settings. ``fixed`` by field name win over everything, ``defaults`` over its own defaults only.

        Raises ConfigError with every problem and where its value came from.
        """
        names = {name: env_form(info.alias or name) for name, info in kind.model_fields.items()}
        self.fixed.update({names[name]: kind.title for name in fixed})
        chosen = {k: v for k, v in (defaults or {}).items() if names[k] not in self.environ}
        return kind.load(None, self.environ, self.origins, **chosen, **fixed)
