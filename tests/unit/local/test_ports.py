"""Ports: free, different, and given to one only."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from earshot import errors
from earshot.local import ports

FEW = range(19_000, 19_008)

ANOTHER = """
import json, sys
from earshot.local import ports
ports._RANGE = range(19_000, 19_008)
print(json.dumps(ports.free_ports(2)))
"""


def test_ports_are_free_and_different() -> None:
    found = ports.free_ports(50)
    assert len(set(found)) == 50
    with socket.create_server(("127.0.0.1", found[0])):
        assert not ports.is_free(found[0])
    assert ports.is_free(found[0])


def test_no_port_is_given_twice_before_it_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_RANGE", FEW)
    mine = ports.free_ports(3) + ports.free_ports(3)
    another = subprocess.run([sys.executable, "-c", ANOTHER], capture_output=True, check=True, text=True)
    assert {*mine, *json.loads(another.stdout)} == set(FEW)
    with pytest.raises(errors.ResourceExhaustedError, match="no 3 free ports"):  # two, of the one that ended
        ports.free_ports(3)


def test_leases_do_not_pile_up() -> None:
    ports.free_ports(300)
    assert len(ports._LEASES) == 256
