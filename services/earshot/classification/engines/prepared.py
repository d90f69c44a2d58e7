"""A model as it is served: in ONNX Runtime, made once from its checkpoint and kept; else in torch.

What was made with the installation (``python -m earshot.classification.engines.export``, as the image does)
lies in its ``share/earshot/onnx``, so that a pod whose file system is read-only has it; anything else's in
``<cache>/onnx``, made when it is pulled (``... prepared KIND MODEL CACHE``) or else when it is first served.
A name holds what it was made of and by which recipe.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

from earshot import errors, weights
from earshot.classification.engines import onnx_network
from earshot.classification.engines.network import Model
from earshot.weights import Kind, Located

# To be counted up whenever :mod:`earshot.classification.engines.export` makes something else of the same.
_RECIPE: Final = 2
INSTALLED: Final = Path(sys.prefix) / "share" / "earshot"
NOT_EXPORTED: Final = "NOT_EXPORTED"
_NOT_MADE: Final = frozenset({NOT_EXPORTED, "CACHE_NOT_WRITABLE"})


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint's folder, and what its content is known by."""

    kind: Kind
    folder: Path
    key: str

    @classmethod
    def of(cls, located: Located) -> Self:
        """Weights that were resolved, by their checksum."""
        return cls(located.kind, located.path, located.checksum.removeprefix("sha256:"))

    def place(self, cache: Path) -> Path:
        """The folder that is made of it."""
        return cache / "onnx" / f"{self.key}-{_RECIPE}"


def load(source: Source, options: dict[str, str]) -> Model:
    """The model, made on first use. Where that cannot be, torch serves, and ``runtime`` says why.

    Option ``device``: "auto" and "cpu" are the CPU; on any other torch serves, as ONNX Runtime's build for
    GPUs is another package. Raises :class:`errors.FailedPreconditionError` for a folder that holds no model
    of that kind, for one that was made and is damaged, and for a device that is not there.
    """
    threads = int(options.get("threads", "1"))
    device = options.get("device", "cpu")
    if device not in {"auto", "cpu"}:
        return _in_torch(source, threads, device)
    try:
        return onnx_network.load(_made(source, weights.cache_folder(options.get("cache", ""))), threads)
    except errors.FailedPreconditionError as exc:
        if exc.reason not in _NOT_MADE:
            raise
        model = _in_torch(source, threads, "cpu")
        return replace(model, runtime=f"{model.runtime}, as {exc.message}")


def _in_torch(source: Source, threads: int, device: str) -> Model:
    from earshot.classification.engines import torch_network  # noqa: PLC0415 - costs what is to be saved

    return torch_network.load(source.kind, source.folder, threads, device)


def _made(source: Source, cache: Path) -> Path:
    installed = source.place(INSTALLED)
    if installed.is_dir():
        return installed
    target = source.place(cache)
    weights.place(target, lambda draft: _in_a_process(source, draft))
    return target


def _in_a_process(source: Source, draft: Path) -> None:
    """Torch would otherwise stay in the memory of the worker, which needs it this once."""
    if find_spec("onnx") is None or find_spec("onnx_ir") is None:
        raise errors.FailedPreconditionError(
            "onnx and onnx-ir are not installed", reason=NOT_EXPORTED, field="model"
        )
    module = "earshot.classification.engines.export"
    command = [sys.executable, "-W", "ignore", "-m", module, source.kind, str(source.folder), str(draft)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise errors.FailedPreconditionError(
            f"it cannot be exported: {last}", reason=NOT_EXPORTED, field="model"
        )


def main() -> None:
    """Ends with a line that says what is wrong."""
    kind, model, cache = sys.argv[1:]
    try:
        _made(Source.of(weights.resolve(Kind(kind), model, Path(cache))), Path(cache))
    except errors.EarshotError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
