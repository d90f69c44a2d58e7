"""The microphone as a source; needs the extra ``mic`` (sounddevice), imported when it is opened."""

# ruff: noqa: PLC0415 - an extra's library is imported where it is needed

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from earshot import errors
from earshot.client.streaming.backlog import BYTES_PER_SAMPLE, SAMPLE_RATE
from earshot.client.streaming.limit import UncommittedLimitError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BLOCK: Final = SAMPLE_RATE // 20  # frames: 50 ms
SLACK: Final = 10.0  # seconds heard that may wait to be taken


@dataclass(slots=True)
class Microphone:
    """What is said into a microphone, from when it is iterated: s16, mono, 16 kHz.

    It cannot wait: where nobody takes what it hears for 10 s it raises UncommittedLimitError.
    """

    device: int | str | None = None  # by number or name as the library has it; None: the default
    overflows: int = field(default=0, init=False)  # times that the system itself lost samples

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._listen()

    async def _listen(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        def hear(samples: Any, _frames: int, _time: Any, status: Any) -> None:  # noqa: ANN401
            self.overflows += bool(status.input_overflow)
            loop.call_soon_threadsafe(heard.put_nowait, bytes(samples))

        with self._opened(hear):
            while True:
                yield await heard.get()
                if heard.qsize() * BLOCK > SLACK * SAMPLE_RATE:
                    raise _overrun(heard.qsize() * BLOCK * BYTES_PER_SAMPLE)

    def _opened(self, hear: Any) -> Any:  # noqa: ANN401 - the library is not there to name the types
        library = _library()
        try:
            return library.RawInputStream(
                samplerate=SAMPLE_RATE,
                blocksize=BLOCK,
                device=self.device,
                channels=1,
                dtype="int16",
                callback=hear,
            )
        except (library.PortAudioError, ValueError) as error:
            raise errors.FailedPreconditionError(
                f"the microphone cannot be opened: {error}", reason="NO_MICROPHONE"
            ) from error


def _library() -> Any:  # noqa: ANN401 - a module
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise errors.FailedPreconditionError(
            f"listening needs the library sounddevice: {errors.how_to_install('mic')}",
            reason="LIBRARY_MISSING",
        ) from error
    except OSError as error:
        raise errors.FailedPreconditionError(
            f"listening needs PortAudio, which is not installed ({error}): apt install libportaudio2",
            reason="LIBRARY_MISSING",
        ) from error
    return sounddevice


def _overrun(held: int) -> UncommittedLimitError:
    return UncommittedLimitError(
        f"nobody took what the microphone heard for {SLACK:g} s: the service is too slow or cannot be "
        "reached, or the program does not read the stream: allow more (max_uncommitted_bytes)",
        held,
    )
