"""Folders of weights from the Hugging Face hub, or from a mirror of it (``HF_ENDPOINT``)."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Final

from earshot import errors
from earshot.weights import checksums
from earshot.weights.catalog import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TEXT: Final = ("*.json", "*.txt", "*.model", "1_*/config.json", "2_*/config.json")
_SAFE: Final = ("*.safetensors", "2_*/*.safetensors")
_PICKLED: Final = ("pytorch_model*.bin",)  # where a repository has no other; read with weights_only
_CTRANSLATE2: Final = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*")


def fetch(repository: str, kind: Kind, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Writes the files that ``kind`` reads to ``folder``: one form of the weights, tokenizer, config.

    All files are of one commit; sizes and checksums are the hub's. Raises
    :class:`errors.NotFoundError`, :class:`errors.InvalidArgumentError` (no weights that can be read)
    and :class:`errors.UnavailableError`.
    """
    from huggingface_hub import HfApi  # noqa: PLC0415 - comes with the extras, not the light client
    from huggingface_hub.errors import HTTPError, RepositoryNotFoundError  # noqa: PLC0415

    try:
        info = HfApi().model_info(repository, files_metadata=True)
        files = _chosen(repository, kind, info.siblings or [])
        _download(repository, info.sha or "main", files, folder, progress)
    except RepositoryNotFoundError as exc:
        raise errors.NotFoundError(
            f"the hub has no model {repository}, or shows it to its members only: then set HF_TOKEN",
            reason="MODEL_UNKNOWN",
            field="model",
        ) from exc
    except (HTTPError, ConnectionError, TimeoutError) as exc:
        raise errors.UnavailableError(f"no answer from the hub ({exc})", reason="NO_NETWORK") from exc
    _check(folder, files)


def _chosen(repository: str, kind: Kind, files: list[Any]) -> list[Any]:
    if kind == Kind.FASTER_WHISPER:
        weights, beside = _matching(files, ("model.bin",)), _matching(files, _CTRANSLATE2)
    else:
        weights = _matching(files, _SAFE) or _matching(files, _PICKLED)
        beside = _matching(files, _TEXT)
    if not weights:
        raise errors.InvalidArgumentError(
            f"{repository} holds no weights that {kind} can read",
            reason="KIND_MISMATCH",
            field="kind",
        )
    return weights + beside


def _matching(files: list[Any], patterns: tuple[str, ...]) -> list[Any]:
    # A pattern's star stays within a folder: onnx/model.safetensors is a copy for somebody else.
    return [
        file
        for file in files
        if any(
            fnmatch(file.rfilename, pattern) and file.rfilename.count("/") == pattern.count("/")
            for pattern in patterns
        )
    ]


def _download(
    repository: str, commit: str, files: list[Any], folder: Path, progress: Callable[[int, int], None]
) -> None:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415

    bar = _bar(progress, sum(file.size or 0 for file in files))
    for file in files:
        hf_hub_download(repository, file.rfilename, revision=commit, local_dir=folder, tqdm_class=bar)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub's notes on an unfinished download


def _bar(progress: Callable[[int, int], None], total: int) -> Any:  # noqa: ANN401 - tqdm has no types
    from huggingface_hub.utils import tqdm  # noqa: PLC0415

    done = 0

    class Bar(tqdm):  # type: ignore[misc] # the library is not typed for us
        """Draws nothing, and tells our caller of the bytes of all files together."""

        def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal done
            done = min(done + int(n or 0), total)
            progress(done, total)

    return Bar


def _check(folder: Path, files: list[Any]) -> None:
    for file in files:
        path = folder / file.rfilename
        expected = file.lfs.sha256 if file.lfs else ""
        if path.stat().st_size != file.size or (expected and checksums.of_file(path) != expected):
            raise errors.UnavailableError(
                f"what the hub gave as {file.rfilename} is not what it lists", reason="CHECKSUM_MISMATCH"
            )
