"""What a start says about a database that can't be used."""

from __future__ import annotations

from funai.base.db.migrate import remedy


def test_remedy_of_a_full_disk_is_room_and_of_all_else_the_address() -> None:
    assert remedy("database or disk is full") == remedy("could not extend file: No space left on device")
    assert "make room on the disk" in remedy("database or disk is full")
    assert "mend datasource.url" in remedy("Connection refused")
