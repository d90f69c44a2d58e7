"""No process leaves a core behind or can be read; one that parses strangers' bytes reaches nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

DUMPABLE, NO_NEW_PRIVS = 3, 39  # PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS
STATE = f"""
import ctypes, json, resource
prctl = ctypes.CDLL(None).prctl
states = [prctl(option, 0, 0, 0, 0) for option in ({DUMPABLE}, {NO_NEW_PRIVS})]
print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE), *states]))
"""
ATTEMPTS = {
    "reads a file of the machine": "open('/etc/passwd')",
    "reads what its process was told": "open('/proc/self/environ')",
    "lists a folder": "os.listdir('/')",
    "writes a file": "open('/tmp/earshot-confined', 'w')",
    "opens a connection": "socket.create_connection(('127.0.0.1', 1))",
    "sends a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "opens a local socket": "socket.socket(socket.AF_UNIX)",
    "makes a pair": "socket.socketpair()",
    "runs a program": "os.execv('/bin/true', ['true'])",
    "starts a program": "subprocess.run(['/bin/true'])",
}
STILL = {
    "takes memory": "bytearray(1 << 24)",
    "makes shared memory": "os.write(os.memfd_create('x'), b'x')",
    "starts a thread": "threading.Thread(target=print).start()",
    "loads a module": "importlib.import_module('fractions')",
    "loads one with a library": "importlib.import_module('zoneinfo._zoneinfo')",
    "speaks through what it has": "(pair[0].send(b'x'), pair[1].recv(1))",
}


def printed(script: str) -> list[str]:
    """What a process of its own prints, line by line."""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return run.stdout.splitlines()


def test_no_core_and_no_debugger() -> None:
    script = f"from earshot.runtime.hardening import harden\nharden(){STATE}"
    assert json.loads(printed(script)[-1]) == [[1, 1], 0, 1]


def test_without_it_there_is_both() -> None:
    """Else the test above would show nothing."""
    limits, dumpable, no_new_privs = json.loads(printed(STATE)[-1])
    assert limits[1] != 1
    assert (dumpable, no_new_privs) == (1, 0)


def test_it_may_be_called_where_no_core_is_allowed_already() -> None:
    script = "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    script += f"from earshot.runtime.hardening import harden\nharden(){STATE}"
    assert json.loads(printed(script)[-1])[0] == [0, 0]


def test_a_crash_says_nothing_of_what_was_in_memory() -> None:
    script = (
        "from earshot.runtime.hardening import harden\nimport os\nharden()\n"
        "said = 'the canary sings'\nos.abort()"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGABRT
    assert "canary" not in run.stdout + run.stderr


def confined(statements: dict[str, str]) -> dict[str, str]:
    """What each of ``statements`` comes to in one confined process: "done", or the error's name."""
    script = (
        "import importlib, json, os, socket, subprocess, threading\n"
        "from earshot.runtime.confinement import confine\n"
        "pair = socket.socketpair()\n"
        "def tried(statement):\n"
        "    try: eval(statement)\n"
        "    except BaseException as error: return type(error).__name__\n"
        "    return 'done'\n"
        "confine()\n"
        f"print(json.dumps({{name: tried(statement) for name, statement in {statements!r}.items()}}))\n"
    )
    return dict(json.loads(printed(script)[-1]))


def test_a_confined_process_reaches_nothing() -> None:
    assert confined(ATTEMPTS) == dict.fromkeys(ATTEMPTS, "PermissionError")


def test_a_confined_process_can_work() -> None:
    assert confined(STILL) == dict.fromkeys(STILL, "done")


@pytest.mark.parametrize(("module", "what"), [("pyseccomp", "calls"), ("landlock", "files")])
def test_where_it_cannot_be_confined_it_says_so_and_works(module: str, what: str) -> None:
    script = (
        f"import sys\nsys.modules[{module!r}] = None\n"
        "from earshot.runtime.confinement import confine\nconfine()\nprint('works')"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    line = json.loads(run.stderr)
    assert (line["event"], line["what"]) == ("worker not confined", what)
    assert run.stdout == "works\n"
