"""Faults in a running platform: ``python -m benchmarks.chaos --rounds 50`` (``make chaos``) prints one JSON line last.

A round pushes a new version of an app, presses deploy, waits for a phase of the job, and does something to a part: kill it,
freeze it, slow it down, cut its connections, fill the disk. Then the invariants of ``docs/operations.md`` must hold.
"""
