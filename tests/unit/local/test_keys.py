"""API keys: what is kept of them, and what Envoy is told."""

from __future__ import annotations

import json

import pytest

from earshot import errors
from earshot.local import keys
from earshot.local.keys import ENVOY, RECORDS, Keys


def _known(files: dict[str, str]) -> list[tuple[str, str]]:
    """Client and key, as Envoy has them."""
    matched = json.loads(files[ENVOY])["resources"][0]["typed_config"]
    credentials = matched["extension_config"]["typed_config"]["credentials"]
    return [(each["client"], each["key"]) for each in credentials]


def test_a_key_is_kept_as_its_hash_and_given_to_envoy_as_it_is() -> None:
    made, key = Keys().new("alice")
    files = made.to_files()
    assert _known(files) == [("alice", key)]
    assert key not in files[RECORDS]
    assert keys.digest(key) in files[RECORDS]
    assert keys.read(files) == made


def test_no_key_is_like_another() -> None:
    made = [Keys().new("alice")[1] for _ in range(100)]
    assert len(set(made)) == 100
    assert {len(key) for key in made} == {len("earshot_") + 43}


@pytest.mark.parametrize("by", ["id", "client"])
def test_what_is_revoked_is_gone_from_both(by: str) -> None:
    made, _ = Keys().new("alice")
    made, kept = made.new("bob")
    left, gone = made.revoke(getattr(made.records[0], by))
    assert [record.client for record in gone] == ["alice"]
    assert [record.client for record in left.records] == ["bob"]
    assert _known(left.to_files()) == [("bob", kept)]


def test_all_keys_of_a_client_go_together() -> None:
    made, _ = Keys().new("alice")
    made, _ = made.new("alice")
    left, gone = made.revoke("alice")
    assert len(gone) == 2
    assert left == Keys()
    assert _known(left.to_files()) == []


def test_a_key_without_a_record_is_dropped() -> None:
    made, _ = Keys().new("alice")
    files = made.to_files() | {RECORDS: Keys().to_files()[RECORDS]}
    assert keys.read(files).credentials == ()


@pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "-a", "a" * 64, "*", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="no client's name"):
        Keys().new(name)


def test_what_is_not_there_cannot_be_revoked() -> None:
    with pytest.raises(errors.NotFoundError, match="nobody"):
        Keys().revoke("nobody")


def _envoy(*credentials: object) -> str:
    """Envoy's file, with what may stand where its credentials are."""
    typed = {"extension_config": {"typed_config": {"credentials": credentials}}}
    return json.dumps({"resources": [{"typed_config": typed}]})


@pytest.mark.parametrize(
    "files",
    [
        *({RECORDS: "no JSON"}, {RECORDS: "{}"}, {RECORDS: '{"keys": [{}]}'}, {ENVOY: "{}"}),
        *({RECORDS: '{"keys": [[]]}'}, {RECORDS: "[" * 100_000}),
        {RECORDS: '{"keys": [{"client": 1, "sha256": [], "created": null}]}'},
        *({ENVOY: _envoy({"client": 1, "key": 2})}, {ENVOY: _envoy({"client": "a", "key": "\ud800"})}),
        {ENVOY: _envoy([])},
    ],
    ids=range(10),
)
def test_files_that_are_not_ours_are_left_alone(files: dict[str, str]) -> None:
    with pytest.raises(errors.FailedPreconditionError, match="not as earshot writes them"):
        keys.read(files)
