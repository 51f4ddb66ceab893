"""NODE AGENT (7005), owner of a node's containers: rollout, logs, limits, isolation. The gateway's routes go through
``contracts.routes``; only ``main`` knows which driver is behind them.

::

    rollout/        a deploy: pull, start, healthy, switch, verify, commit; then drain and retire
    apps.py         stop, start, delete, status
    reconcile/      compares what runs with what should, after a crash and every few seconds
    workload/       instances of apps behind one Protocol; ``containers`` is its driver
    engine/         the container engine behind one Protocol
    network/        networks that other apps can't reach, and the firewall around them
    databases/      databases of apps, their accounts, quotas and backups
    heartbeat.py    reports the node's state to Deploy
"""
