"""``earshot usage`` as it is printed, and what it asks."""

from __future__ import annotations

import csv
import json

from earshot import errors
from earshot.cli.errors import ExitCode
from tests.rpc.client.scripted import Script, used
from tests.unit.cli.conftest import Run


def test_it_is_printed_in_rows_and_as_json(run: Run, script: Script) -> None:
    script.always = used()
    rows = list(csv.reader(run("usage").stdout.splitlines(), delimiter="\t"))
    data = json.loads(run("usage", "--json").stdout)
    assert rows == [
        ["acme", "2026-11-25", "tiny", "3", "90.50 s", "12", "1.2500 EUR"],
        ["total", "2026-11-25", "tiny", "3", "90.50 s", "12", "1.2500 EUR"],
        ["audio_seconds_per_day", "90.5", "3600", "2026-11-26 00:00:00 UTC"],
    ]
    assert data["records"][0]["cost"] == data["total"]["cost"] == 1.25
    assert data["quotas"][0]["used"] == 90.5


def test_what_is_asked(run: Run, script: Script) -> None:
    script.always = used()
    run("usage", "--client", "acme", "--from", "2026-11-01", "--to", "2026-11-25")
    run("usage", "--all")
    named, everyone = (call.request for call in script.calls)
    assert (named.client, named.first_day, named.last_day) == ("acme", "2026-11-01", "2026-11-25")
    assert (everyone.client, everyone.first_day) == ("-", "")


def test_who_counts_alone_is_said_to(run: Run, script: Script) -> None:
    answer = used()
    answer.partial = True
    script.always = answer
    assert "one replica" in run("usage").stderr


def test_others_usage_is_refused(run: Run, script: Script) -> None:
    script.always = errors.PermissionDeniedError("acme may not see what others have used")
    result = run("usage", "--client", "beta")
    assert result.exit_code == ExitCode.REFUSED
    assert "may not see" in result.stderr
    assert run("usage", "--client", "beta", "--all").exit_code == ExitCode.USAGE
