"""``earshot keys``, and who calls from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from earshot.cli.errors import ExitCode
from earshot.gen.v1 import classification_pb2
from tests.rpc.client.scripted import Script
from tests.unit.cli.conftest import Run


def test_a_key_is_made_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    where = ("--state", str(tmp_path / "state"))
    made = json.loads(run("keys", "new", "alice", "--json", *where).output)
    key = run("keys", "new", "bob", *where).output.strip()
    listed = json.loads(run("keys", "list", "--json", *where).output)
    assert [each["client"] for each in listed] == ["alice", "bob"]
    assert listed[0]["id"] == made["id"]
    assert made["key"] not in (shown := run("keys", "list", *where).output)
    assert made["id"] in shown
    assert key != made["key"]
    gone = json.loads(run("keys", "revoke", made["id"], "--json", *where).output)
    assert [each["client"] for each in gone] == ["alice"]
    assert [each["client"] for each in json.loads(run("keys", "list", "--json", *where).output)] == ["bob"]


@pytest.mark.parametrize(
    ("arguments", "code"), [(("revoke", "nobody"), ExitCode.REFUSED), (("new", "a b"), ExitCode.REFUSED)]
)
def test_what_is_wrong_has_its_exit_code(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: ExitCode
) -> None:
    assert run("keys", *arguments, "--state", str(tmp_path / "state")).exit_code == code


def test_the_key_of_the_command_line_or_the_environment_is_sent(
    run: Run, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("classify", "a", "--labels", "b")
    script.then(*(classification_pb2.ClassifyResponse(results=[{}]) for _ in range(3)))
    assert run(*call, "--api-key", "given").exit_code == 0
    monkeypatch.setenv("EARSHOT_API_KEY", "of the environment")
    assert run(*call).exit_code == 0
    monkeypatch.delenv("EARSHOT_API_KEY")
    assert run(*call).exit_code == 0
    sent = [dict(each.metadata).get("x-api-key") for each in script.calls]
    assert sent == ["given", "of the environment", None]


def test_the_key_is_not_sent_in_plain_text(run: Run) -> None:
    refused = run("classify", "a", "--labels", "b", "--target", "192.0.2.1:80", "--api-key", "secret-one")
    assert refused.exit_code == ExitCode.REFUSED
    assert "plain text" in refused.output
    assert "secret-one" not in refused.output


def test_a_certificate_needs_its_key(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text("")
    refused = run("classify", "a", "--labels", "b", "--certificate", str(tmp_path / "tls.crt"))
    assert refused.exit_code == ExitCode.USAGE
