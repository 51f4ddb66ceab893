"""What the socket tables of a container tell."""

from __future__ import annotations

from funai.agent.rollout.health import Listener, connections, describe, elsewhere, listeners

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TCP = HEAD + (
    "   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
    "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1\n"
    "   2: 0B00007F:A0B1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1\n"
    "   3: 0200000A:0BB8 0100000A:C000 01 00000000:00000000 00:00000000 00000000     0        0 4 1\n"
    "   4: 0200000A:C001 0100000A:0BB8 01 00000000:00000000 00:00000000 00000000     0        0 5 1\n"
    "   5: 0200000A:0BB8 0100000A:C002 06 00000000:00000000 00:00000000 00000000     0        0 6 1\n"
)
TCP6 = HEAD + "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0 0 0 0 0 7\n"


def test_listeners_with_where_they_listen() -> None:
    assert listeners([TCP, TCP6]) == [Listener(80, True), Listener(3000, True), Listener(8080, False)]


def test_only_open_connections_to_the_port_count() -> None:
    assert connections([TCP], 3000) == 1


def test_half_a_table_is_no_trouble() -> None:
    assert listeners(["", "x\ny z\n"]) == []


def test_a_person_is_told_what_is_wrong() -> None:
    assert describe([Listener(8080, True)], 3000)[1] == "; it listens on 8080 instead"
    assert "0.0.0.0" in describe([Listener(3000, False)], 3000)[1]
    assert describe([], 3000) == ("", "")


def test_the_one_other_port_for_everybody_is_found() -> None:
    assert elsewhere([Listener(8080, True)], 3000) == 8080
    assert elsewhere([Listener(8080, True), Listener(9229, False)], 3000) == 8080
    assert elsewhere([Listener(8080, True), Listener(9090, True)], 3000) == 0
    assert elsewhere([Listener(8080, True), Listener(3000, False)], 3000) == 0
    assert elsewhere([Listener(8080, False)], 3000) == 0
    assert elsewhere([], 3000) == 0


def test_a_port_that_the_system_chose_is_told_and_not_taken() -> None:
    found = [Listener(37807, True)]
    assert elsewhere(found, 3000) == 0
    assert "process.env.PORT, which this platform does not set; write 3000" in describe(found, 3000)[1]
