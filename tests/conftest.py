"""What every test knows: the real parts' fixtures."""

from __future__ import annotations

pytest_plugins = ["tests.parts.fixtures"]
