"""What the API server refuses, and what never reaches it: one clear line and an exit code."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from earshot import errors
from earshot.cli.errors import ExitCode
from earshot.cluster.connection import connect
from earshot.cluster.release import Release
from tests.unit.cluster.api_server import Content
from tests.unit.cluster.conftest import Run, use, write_kubeconfig
from tests.unit.cluster.objects import deployment

COMMANDS = [("status",), ("wait", "--timeout", "0"), ("forward", "--port", "1024"), ("logs",)]
FORBIDDEN = (
    'deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps"'
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("code", "said", "exit_code", "words"),
    [
        (401, "Unauthorized", ExitCode.REFUSED, "does not accept the credentials of context 'test'"),
        (403, FORBIDDEN, ExitCode.REFUSED, f"context 'test' lacks a right: {FORBIDDEN}"),
        (403, "", ExitCode.REFUSED, "context 'test' lacks a right: status 403"),
        (429, "too many requests", ExitCode.LIMITED, "too many requests"),
        (503, "etcd is not there", ExitCode.UNAVAILABLE, "etcd is not there"),
        (404, "", ExitCode.UNAVAILABLE, "not in the words of a Kubernetes API server"),
    ],
)
def test_a_refusal_is_one_line(  # noqa: PLR0917 - a table
    kubeconfig: Path,
    content: Content,
    run: Run,
    command: tuple[str, ...],
    code: int,
    said: str,
    exit_code: ExitCode,
    words: str,
) -> None:
    content.refusals["deployments"] = (code, said)

    result = run(*command)

    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.startswith("earshot: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, command: tuple[str, ...]
) -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{taken.getsockname()[1]}"
        write_kubeconfig(tmp_path / "kubeconfig", server)
        use(monkeypatch, tmp_path / "kubeconfig")
        result = run(*command)

    assert result.exit_code == ExitCode.UNAVAILABLE
    assert result.stderr == f"earshot: no cluster answers at {server}, context 'test': Connection refused\n"


def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    use(monkeypatch, tmp_path / "nothing")

    result = run("status")

    assert result.exit_code == ExitCode.UNAVAILABLE
    assert result.stderr.startswith("earshot: no cluster: ")
    assert "name a kubeconfig in KUBECONFIG" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "contexts: 3\ncurrent-context: x\n"])
def test_a_kubeconfig_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, text: str
) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    use(monkeypatch, tmp_path / "kubeconfig")

    result = run("status")

    assert result.exit_code == ExitCode.UNAVAILABLE
    assert result.stderr.startswith("earshot: no cluster: ")
    assert result.stderr.count("\n") == 1


def test_an_unknown_context(kubeconfig: Path, run: Run) -> None:
    result = run("status", "--context", "prod")

    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr == "earshot: the kubeconfig has no context 'prod', only 'test'\n"


def test_the_namespace_is_the_context_s_own_unless_named(
    kubeconfig: Path, content: Content, run: Run
) -> None:
    run("status")
    run("status", "--namespace", "elsewhere")

    lists = [path for path in content.asked if "deployments" in path]
    assert "/namespaces/speech/" in lists[0]
    assert "/namespaces/elsewhere/" in lists[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_release(kubeconfig: Path, run: Run, command: tuple[str, ...]) -> None:
    result = run(*command)

    assert result.exit_code == ExitCode.REFUSED
    assert "no release 'voice' in namespace 'speech' of context 'test'" in result.stderr
    assert "helm install voice charts/earshot" in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_release_of_that_name_but_others(kubeconfig: Path, content: Content, run: Run) -> None:
    content.deployments = [deployment("stt", release="blue"), deployment("stt", release="green")]

    result = run("status")

    assert result.exit_code == ExitCode.REFUSED
    assert "only 'blue', 'green': name one by --release" in result.stderr


def test_an_error_knows_its_cause(kubeconfig: Path, content: Content) -> None:
    content.refusals["pods"] = (403, "no")

    with pytest.raises(errors.PermissionDeniedError) as caught:
        Release(connect(), "speech", "voice").pods()

    assert type(caught.value.__cause__).__name__ == "ForbiddenException"
