"""API keys: who has one, and the file by which Envoy knows them.

What is kept of a key is its SHA-256: it cannot be read back, and 256 random bits cannot be guessed from it.
Envoy's filter compares keys as they are, so that the file made for it holds them, and nobody but its owner
may read it. A key is ``earshot_`` and 43 characters; its id is the first eight digits of its hash.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from earshot import errors
from earshot.local.access import CLIENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PREFIX: Final = "earshot_"
KEY_HEADER: Final = "x-api-key"
RECORDS, ENVOY = "keys.json", "api-keys.json"  # the two files, of a folder or a Secret
_BYTES: Final = 32  # of chance in a key
_ID_DIGITS: Final = 8
_CLIENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_TYPES: Final = "type.googleapis.com"


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a key."""

    client: str
    sha256: str  # of the key, in hexadecimal
    created: str  # UTC, ISO 8601

    @property
    def id(self) -> str:
        """By which people name it."""
        return self.sha256[:_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys: as they are kept, and as Envoy has them. Each change gives another one."""

    records: tuple[Record, ...] = ()
    credentials: tuple[tuple[str, str], ...] = ()  # client and key

    def new(self, client: str) -> tuple[Keys, str]:
        """With one more for ``client``, which is shown now and never again.

        Raises:
            InvalidArgumentError: that is no name for a client.
        """
        if not _CLIENT.fullmatch(client):
            raise errors.InvalidArgumentError(
                f"{client!r} is no client's name: up to 63 letters, digits and ._@-, no sign first",
                field="client",
            )
        key = PREFIX + secrets.token_urlsafe(_BYTES)
        record = Record(client, digest(key), datetime.now(UTC).isoformat(timespec="seconds"))
        return Keys((*self.records, record), (*self.credentials, (client, key))), key

    def revoke(self, name: str) -> tuple[Keys, tuple[Record, ...]]:
        """Without the key of that id, or without any of the client of that name; and what has gone.

        Raises:
            NotFoundError: there is none.
        """
        gone = tuple(each for each in self.records if name in {each.id, each.client})
        if not gone:
            raise errors.NotFoundError(
                f"no key has the id {name!r}, and no client of that name has one: see `earshot keys list`"
            )
        hashes = {each.sha256 for each in gone}
        left = tuple(each for each in self.records if each.sha256 not in hashes)
        return Keys(left, tuple(each for each in self.credentials if digest(each[1]) not in hashes)), gone

    def to_files(self) -> dict[str, str]:
        """Both files' contents, by their names."""
        records = [asdict(record) for record in self.records]
        return {
            RECORDS: json.dumps({"keys": records}, indent=1),
            ENVOY: json.dumps(_resource(self.credentials)),
        }


def read(files: dict[str, str]) -> Keys:
    """What :meth:`Keys.to_files` has given; without files there are none.

    Raises:
        FailedPreconditionError: they are not what we wrote.
    """
    try:
        records = [_record(each) for each in json.loads(files.get(RECORDS, '{"keys": []}'))["keys"]]
        kept = {record.sha256 for record in records}
        credentials = [each for each in _credentials(files.get(ENVOY)) if digest(each[1]) in kept]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise errors.FailedPreconditionError(
            f"the files of API keys are not as earshot writes them ({type(exc).__name__})"
        ) from exc
    return Keys(tuple(records), tuple(credentials))


def _record(each: dict[str, str]) -> Record:
    """Raises ``TypeError`` for what is none."""
    return Record(**{name: _text(value) for name, value in each.items()})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _resource(credentials: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A resource of extension discovery: the filter, left out for calls that bring no key."""
    filter_config = {
        "@type": f"{_TYPES}/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
        "credentials": [{"client": client, "key": key} for client, key in credentials],
        "key_sources": [{"header": KEY_HEADER}],
        "forwarding": {"header": CLIENT_HEADER, "hide_credentials": True},
    }
    matched = {
        "@type": f"{_TYPES}/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
        "extension_config": {"name": "envoy.filters.http.api_key_auth", "typed_config": filter_config},
        "xds_matcher": _without_key(),
    }
    resource = {"@type": f"{_TYPES}/envoy.config.core.v3.TypedExtensionConfig"}
    return {"resources": [resource | {"name": "api_keys", "typed_config": matched}]}


def _without_key() -> dict[str, Any]:
    """Skips the filter where the header is missing; an empty one is a wrong key."""
    header = {
        "@type": f"{_TYPES}/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": KEY_HEADER,
    }
    there = {
        "single_predicate": {
            "input": {"name": "request-headers", "typed_config": header},
            "value_match": {"safe_regex": {"google_re2": {}, "regex": ".*"}},
        }
    }
    skip = {"@type": f"{_TYPES}/envoy.extensions.filters.common.matcher.action.v3.SkipFilter"}
    matcher = {
        "predicate": {"not_matcher": there},
        "on_match": {"action": {"name": "skip", "typed_config": skip}},
    }
    return {"matcher_list": {"matchers": [matcher]}}


def _credentials(text: str | None) -> Iterable[tuple[str, str]]:
    if text is not None:
        matched = json.loads(text)["resources"][0]["typed_config"]
        for each in matched["extension_config"]["typed_config"].get("credentials", []):
            yield _text(each["client"]), _text(each["key"])
