"""A Ray cluster of two nodes on the loopback address, for tests that kill one of them.

Nodes are in another folder than the tests, as those of other machines may be.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RAY = Path(sys.executable).with_name("ray")
PATIENCE = 300
"""Seconds; on a busy machine a node takes a minute to answer."""
WARNINGS = ("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
"""What Ray itself sets off."""


def _ray() -> Any:
    return importlib.import_module("ray")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(*options: str) -> subprocess.Popen[bytes]:
    """Start a node in a process group of its own and return once it answers."""
    command = [str(RAY), "start", *options, "--node-ip-address", "127.0.0.1", "--num-cpus", "1", "--block"]
    command += ["--object-store-memory", "100000000", "--disable-usage-stats"]
    paths = [str(Path(path).absolute()) for path in (Path(__file__).parent, *sys.path)]
    environment = {"RAY_AUTH_MODE": "disabled"} | os.environ  # else nodes, not tests, take a token that lies about
    environment |= {"PYTHONPATH": os.pathsep.join(paths)}  # a node imports what jobs are made of
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True, env=environment, cwd="/")


@contextmanager
def cluster() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield the address of a cluster of two nodes with one CPU each, and the process of the second."""
    address = f"127.0.0.1:{free_port()}"
    head = start("--head", "--port", address.rsplit(":", 1)[1], "--include-dashboard", "false")
    nodes = [head]
    try:
        _wait(lambda: _connects(address), seconds=PATIENCE)
        nodes.append(start("--address", address))
        _wait(lambda: _ray().cluster_resources().get("CPU", 0) == 2, seconds=PATIENCE)
        yield address, nodes[1]
    finally:
        _ray().shutdown()
        for node in nodes:
            kill_node(node)


def _connects(address: str) -> bool:
    try:
        socket.create_connection(address.split(":"), timeout=1).close()
        _ray().init(address=address, _node_ip_address="127.0.0.1", log_to_driver=False, logging_level="critical")
    except (OSError, RuntimeError):
        return False
    return True


def _wait(ready: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "the cluster did not come up"
        time.sleep(0.2)


def kill_node(node: subprocess.Popen[bytes]) -> None:
    """Kill a node whole: the processes that Ray starts for it are of its session."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == node.pid:
                    os.kill(int(entry.name), signal.SIGKILL)
            except ProcessLookupError:
                continue
    node.wait()
