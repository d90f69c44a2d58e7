"""Settings common to both services, read from the environment once, at start.

Every setting is an environment variable: ``EARSHOT_`` and the field's name in capitals. Unknown
names are ignored; a value of the wrong kind stops the start with a message that names it.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import platformdirs
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from earshot import errors
from earshot.rpc.limits import MEBIBYTE
from earshot.runtime.devices import DEVICE, listed

Settings = TypeVar("Settings", bound=BaseSettings)

Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# An empty variable is none, not the folder that we are in.
OptionalPath = Annotated[Path | None, BeforeValidator(lambda given: given or None)]
PositiveInt = Annotated[int, Field(ge=1)]


class ServiceSettings(BaseSettings):
    """What either service can be told. Each description is printed by ``--help``."""

    model_config = SettingsConfigDict(env_prefix="EARSHOT_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a pod.")
    port: Port = Field(50051, description="Port of the gRPC server; 0: any free one.")
    tls_folder: OptionalPath = Field(
        None, description="Folder of tls.crt, tls.key, ca.crt: only who that authority knows may call."
    )
    health_port: Port = Field(
        0, description="Port of gRPC health alone, in plain text, for probes that know no TLS; 0: none."
    )
    metrics_port: Port = Field(9464, description="Port of /metrics; 0: any free one.")
    replica: str = Field(default_factory=socket.gethostname, description="Name of this replica in answers.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    clients: str = Field(
        "",
        max_length=1000,
        description="Names that callers may give in x-earshot-client to have figures of their own, as a,b,c.",
    )
    models_file: OptionalPath = Field(
        None,
        description='JSON file of the models that each client may use: {"a": ["tiny*"], "*": []}; none: all.',
    )

    otlp_endpoint: str = Field(
        "", description="Where traces go, OTLP over gRPC, as http://collector:4317; empty: there are none."
    )
    trace_share: float = Field(
        0.01, ge=0, le=1, description="Share of calls that are traced, where the caller has not decided."
    )

    engine: str = Field("auto", description="Engine; auto: the best one whose weights are here.")
    model: str = Field("", description="Model: a name, a file or a folder; empty: the engine's default.")
    cache: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("earshot"), description="Folder of weights."
    )
    device: str = Field(
        "auto",
        pattern=rf"^{DEVICE}(?:, ?{DEVICE})*$",
        description="Where engines compute: auto, cpu, cuda, or several, as cuda:0,cuda:1.",
    )
    workers: PositiveInt = Field(
        1, description="Worker processes on each device, one copy of the model in each."
    )
    threads: PositiveInt = Field(1, description="Threads of each worker.")
    max_batch: PositiveInt = Field(1, le=249, description="Requests that a worker takes at once.")
    batch_wait_seconds: Seconds = Field(
        0.0, description="So long fewer wait for more; 0: not at all, as is best on CPUs."
    )

    queue: int = Field(64, ge=0, description="Requests that may wait for a worker; more are refused.")
    queue_mebibytes: PositiveInt = Field(512, description="Memory of requests waiting and at work, in MiB.")
    max_message_mebibytes: PositiveInt = Field(64, le=1024, description="Size of one request, in MiB.")
    max_request_seconds: PositiveSeconds = Field(
        3600.0, description="Longest time that one request may take."
    )

    stream_share: float = Field(
        0.25, gt=0, le=1, description="Part of a worker that a live stream counts as, among requests."
    )
    stream_idle_seconds: PositiveSeconds = Field(
        60.0, description="A stream that nothing comes from for so long is closed, with its resume token."
    )
    max_stream_seconds: PositiveSeconds = Field(
        10_800.0, description="Longest connection of a stream; it then goes on by its resume token."
    )
    resume_keys_file: Path | None = Field(
        None, description="Keys of resume tokens, one a line, the first signs; the same on all replicas."
    )
    resume_token_seconds: PositiveSeconds = Field(86_400.0, description="How long a resume token holds.")

    drain_seconds: Seconds = Field(
        8.0, description="After SIGTERM: serve on for so long, not ready any more."
    )
    grace_seconds: Seconds = Field(30.0, description="Then: finish what is at work for so long.")

    @property
    def client_names(self) -> tuple[str, ...]:
        """The callers that figures are kept for."""
        return tuple(name for name in (part.strip() for part in self.clients.split(",")) if name)

    @property
    def devices(self) -> tuple[str, ...]:
        """Where the workers compute, in turn."""
        return listed(self.device)

    @property
    def processes(self) -> int:
        """Workers on all devices."""
        return self.workers * len(self.devices)

    @property
    def max_message_bytes(self) -> int:
        """Size of one request, in bytes."""
        return self.max_message_mebibytes * MEBIBYTE


def read(kind: type[Settings]) -> Settings:
    """Settings from the environment. Raises ``InvalidArgumentError`` that names each wrong variable."""
    try:
        return kind()
    except ValidationError as exc:
        complaints = [_complaint(kind, fault) for fault in exc.errors()]
        raise errors.InvalidArgumentError("; ".join(complaints)) from None
    except SettingsError as exc:  # JSON that is none
        raise errors.InvalidArgumentError(f"{exc}: it must be JSON") from None
    except RecursionError:
        raise errors.InvalidArgumentError("JSON in the environment is nested too deep") from None


def _complaint(kind: type[BaseSettings], fault: ErrorDetails) -> str:
    if not fault["loc"]:  # of several together
        return fault["msg"]
    field, *inside = (str(part) for part in fault["loc"])
    name = f"EARSHOT_{field.upper()}"
    is_secret = kind.model_fields[field].annotation is SecretStr
    value = "" if is_secret else f"={os.environ.get(name, '')!r}"
    where = f" at {'.'.join(inside)}" if inside else ""
    return f"{name}{value}{where}: {fault['msg']}"


def manual(kind: type[BaseSettings]) -> str:
    """Each variable with its default and meaning, for ``--help``."""
    lines = []
    for name, field in kind.model_fields.items():
        default = "" if field.default_factory else f" [{field.default}]"
        lines.append(f"  EARSHOT_{name.upper()}{default}\n      {field.description}")
    return "\n".join(lines)
