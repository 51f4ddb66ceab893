"""NODE AGENT (7005), owner of a node's containers: rollout, logs, limits, isolation. The gateway's routes go through
``contracts.routes``; only ``main`` knows which driver is behind them.

::

    rollout.py      the story of a deploy: pull, start, healthy, switch, verify, commit; then drain and retire
    apps.py         stop, start, delete, status
    state.py        what the containers' names and labels say (pure), and the plan that makes them consistent
    converge.py     carries that plan out after a crash, and again and again (sweep)
    engine/         the container engine behind one Protocol
    network.py      where apps live: a network that others can't reach;  firewall.py what they may reach on this host
    heartbeat.py    tells Deploy how the node is
"""
