"""The cache folder, and how a model's name or path becomes the files to load.

``<cache>/whisper/<name>.pt`` is one file; ``<cache>/<kind>/<organisation>--<name>/`` a folder with its
files and, where Earshot pulled it, their checksums in ``SHA256SUMS``. Files that a person copied there
serve as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from earshot import errors
from earshot.weights import checksums
from earshot.weights.catalog import Kind, Weights, find, known


@dataclass(frozen=True, slots=True)
class Located:
    """Weights that are there."""

    name: str
    kind: Kind
    path: Path  # a file, or a folder
    checksum: str  # "sha256:<hex>", of the folder's listing for a folder; empty where not yet computed

    @property
    def size(self) -> int:
        """Bytes of all files."""
        files = self.path.rglob("*") if self.path.is_dir() else (self.path,)
        return sum(file.stat().st_size for file in files if file.is_file())


def cache_folder(override: str | Path = "") -> Path:
    """The cache: ``override`` where given (callers read ``EARSHOT_CACHE``), else the user's own."""
    import platformdirs  # noqa: PLC0415 - a default for people; services name the folder

    return Path(override).expanduser() if override else platformdirs.user_cache_path("earshot")


def place_of(weights: Weights, cache: Path) -> Path:
    """Where in the cache the weights lie once they are there."""
    name = urlsplit(weights.source).path.rpartition("/")[2] if weights.is_file else _folder_name(weights.name)
    return cache / weights.kind / name


def locate(kind: Kind, model: str, cache: Path) -> Path | None:
    """The path that :func:`resolve` would give, or None; looks only whether it is there."""
    path = Path(model).expanduser()
    if _is_path(model, path):
        return path
    try:
        place = place_of(find(model, kind), cache)
    except (errors.NotFoundError, errors.InvalidArgumentError):
        return None
    return place if place.exists() else None


def resolve(kind: Kind, model: str, cache: Path) -> Located:
    """The files of a model, checked: a path as it is, a name from the cache. Uses no network.

    Raises :class:`errors.FailedPreconditionError` where they are not there or not whole (the message
    says where they were looked for, and how to get them), :class:`errors.NotFoundError` for a name
    that nobody publishes.
    """
    path = Path(model).expanduser()
    if _is_path(model, path):
        return Located(path.stem if path.is_file() else path.name, kind, path, checksums.of(path))
    weights = find(model, kind)
    place = place_of(weights, cache)
    if not place.exists():
        raise errors.FailedPreconditionError(
            f"the {kind} weights {weights.name} are not in {place}: `earshot models pull {weights.name}"
            f"{'' if weights in known() else f' --kind {kind}'}` gets them",
            reason="MODEL_NOT_PRESENT",
            field="model",
        )
    return verified(weights, place)


def verified(weights: Weights, place: Path) -> Located:
    """The weights at ``place``, checked against what was published or noted as they were pulled.

    Raises :class:`errors.FailedPreconditionError`.
    """
    checksum = checksums.of(place)
    expected = weights.checksum or (place.is_dir() and _noted(place)) or checksum
    if checksum != expected:
        raise errors.FailedPreconditionError(
            f"{place} is not what was published as {weights.name} (its checksum is {checksum}, not "
            f"{expected}): remove it and `earshot models pull {weights.name}` again",
            reason="CHECKSUM_MISMATCH",
            field="model",
        )
    return Located(weights.name, weights.kind, place, checksum)


def cached(cache: Path) -> list[Located]:
    """All weights in the cache, by kind and name; checksums as they were noted, none is computed."""
    files = [
        Located(one.name, one.kind, place_of(one, cache), one.checksum)
        for one in known()
        if one.is_file and place_of(one, cache).is_file()
    ]
    folders = [
        Located(path.name.replace("--", "/", 1), kind, path, _noted(path))
        for kind in Kind
        for path in sorted((cache / kind).glob("[!.]*--*"))
        if path.is_dir()
    ]
    return files + folders


def _is_path(model: str, path: Path) -> bool:
    # A name wins over a folder that happens to be called so; "./tiny" says that a path is meant.
    return path.exists() and (path.is_absolute() or model.startswith(".") or not _is_known(model))


def _is_known(model: str) -> bool:
    return any(weights.name == model for weights in known())


def _folder_name(hub_id: str) -> str:
    return hub_id.replace("/", "--")


def _noted(folder: Path) -> str:
    sums = folder / checksums.SUMS
    return f"sha256:{checksums.of_text(sums.read_text())}" if sums.is_file() else ""
