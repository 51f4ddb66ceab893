"""A tenant's code, in a build as in an app, reaches neither the platform nor its neighbours."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from funai.base.process.proc import run
from funai.contracts.states import JobStatus
from funai.standalone.parts import engine
from tests.e2e.up.world import DOCKERFILE, Person, Platform, project

PROBE = """
const net = require('net'), dns = require('dns');
const targets = process.argv[2].split(',');
const ask = (t) => new Promise((done) => {
  const [host, port] = t.split(':');
  const s = net.connect({host, port: Number(port), timeout: 1500});
  s.on('connect', () => { s.destroy(); done([t, 'OPEN']); });
  s.on('timeout', () => { s.destroy(); done([t, 'timeout']); });
  s.on('error', (e) => done([t, e.code]));
});
Promise.all(targets.map(ask)).then((r) => console.log('PROBED ' + JSON.stringify(Object.fromEntries(r))));
"""


@contextmanager
def listening_everywhere() -> Iterator[int]:
    """A port of this host that answers on every address, as an operator's own service would."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("0.0.0.0", 0))
        sock.listen(16)
        yield sock.getsockname()[1]


async def _engine(*words: str) -> str:
    choice = await engine.choose()
    done = await run(choice.cli(*words), timeout=30)
    assert done.code == 0, done.error_text
    return done.text


async def test_a_build_step_reaches_no_app_and_no_port_of_the_host(up: Platform, person: Person) -> None:
    neighbour = await person.app("neighbour", project("private"))
    assert (await person.deploy(neighbour)).status is JobStatus.SUCCEEDED
    ids = (await _engine("ps", "--quiet", "--filter", "label=funai.app_id")).split() or (await _engine("ps", "--quiet")).split()
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}} {{end}}"
    address, bridge = (await _engine("inspect", "--format", form, ids[0])).split()[:2]
    with listening_everywhere() as port:
        names = dict(up.ports.items())
        targets = [f"{address}:3000", f"{bridge}:{port}", f"169.254.169.254:{port}"]
        targets += [f"{bridge}:{names[n]}" for n in ("deploy", "agent", "registry", "api", "gateway")]
        probing = DOCKERFILE.replace("COPY . .", f"COPY . .\nRUN node probe.js {','.join(targets)}")
        app = await person.app("spy", project("spy", dockerfile=probing, **{"probe.js": PROBE}))
        job = await person.deploy(app)
    assert job.status is JobStatus.SUCCEEDED, job.error_message
    log = (await person.api.job_log(job.id, 0)).chunk
    probed = json.loads(log.partition("PROBED ")[2].splitlines()[0])
    assert set(probed) == set(targets)
    assert "OPEN" not in probed.values(), probed
