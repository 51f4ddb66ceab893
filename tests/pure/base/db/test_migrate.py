from __future__ import annotations

from pathlib import Path

import pytest

from funai.base.db.engine import Database
from funai.base.db.migrate import reachable, remedy
from funai.contracts.errors import ConfigError, NotReady


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////proc/none/x.db", "sqlite:////proc/none/x.db can't be used: unable to open database file"),
        ("postgresql://u:sesame@127.0.0.1:1/db", r"postgresql://u:\*\*\*@127.0.0.1:1/db can't be used: .*Connect call failed"),
        ("mysql://u:sesame@127.0.0.1:1/db", r"mysql://u:\*\*\*@127.0.0.1:1/db\S* can't be used: .*Can't connect"),
    ],
)
async def test_a_database_that_can_t_be_used_at_a_start_is_named_with_its_own_words(url: str, said: str) -> None:
    with pytest.raises(NotReady, match=said) as e:  # systemd tries again, unlike after a refused configuration
        await reachable(Database(url))
    assert "sesame" not in str(e.value)


async def test_one_that_can_is_left_open(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.db")
    await reachable(db)
    await reachable(db)
    await db.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_sqlite_needs_a_file(url: str) -> None:
    with pytest.raises(ConfigError, match="needs a file"):
        Database(url)


def test_remedy_of_a_full_disk_is_room_and_of_all_else_the_address() -> None:
    assert remedy("database or disk is full") == remedy("could not extend file: No space left on device")
    assert "make room on the disk" in remedy("database or disk is full")
    assert "mend datasource.url" in remedy("Connection refused")
