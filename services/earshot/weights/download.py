"""One file by URL, whole and with the checksum expected."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from earshot import errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHUNK: Final = 1 << 20  # bytes
_SILENCE: Final = 30.0  # seconds without a byte: the connection is dead


def fetch(url: str, target: Path, checksum: str, progress: Callable[[int, int], None]) -> None:
    """Writes what ``url`` gives to ``target``; a proxy is taken from the environment.

    ``checksum`` is "sha256:<hex>", or empty. Raises :class:`errors.UnavailableError` where the file
    cannot be had, is cut off or is another, :class:`errors.NotFoundError` where it is not there.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "earshot"})  # noqa: S310 - ours, by https
    try:
        with urllib.request.urlopen(request, timeout=_SILENCE) as response:  # noqa: S310
            found = _save(response, target, progress)
    except urllib.error.HTTPError as exc:
        exc.close()
        kind = errors.NotFoundError if exc.code in {404, 410} else errors.UnavailableError
        raise kind(f"{url} answers {exc.code} {exc.reason}", reason="DOWNLOAD_REFUSED") from exc
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as exc:
        why = getattr(exc, "reason", exc)
        raise errors.UnavailableError(f"no answer from {url} ({why})", reason="NO_NETWORK") from exc
    if checksum and found != checksum:
        raise errors.UnavailableError(
            f"what {url} gave is not what was published: its checksum is {found}, not {checksum}",
            reason="CHECKSUM_MISMATCH",
        )


def _save(response: http.client.HTTPResponse, target: Path, progress: Callable[[int, int], None]) -> str:
    total = int(response.headers.get("Content-Length") or 0)
    digest, done = hashlib.sha256(), 0
    with target.open("wb") as file:
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress(done, total)
    if total and done != total:
        raise errors.UnavailableError(
            f"the download was cut off after {done} of {total} bytes", reason="DOWNLOAD_CUT_OFF"
        )
    return f"sha256:{digest.hexdigest()}"
