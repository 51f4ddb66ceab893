"""Real parts for tests: databases, engines, registry, SSH server, HAProxy; each a class one can start, kill and start again.

The fixtures of the same names live in ``tests/parts/fixtures.py`` and are known to every test. A part listens on
loopback (or a unix socket) on a free port, keeps everything in a folder of its own, never touches the machine's own
service of that kind, and is gone when the session ends, however the session ends.
"""
