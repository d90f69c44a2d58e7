"""The microphone, with the library in its place that gives what a device would."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from earshot.client import Microphone, UncommittedLimitError
from earshot.errors import FailedPreconditionError


class Device(types.ModuleType):
    """As much of sounddevice as is used; `hear` is what the device calls."""

    PortAudioError = OSError

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__("sounddevice")
        self.error, self.asked, self.open = error, {}, threading.Event()
        self.hear: Callable[..., None] = lambda *_: None

    def RawInputStream(self, **asked: Any) -> Any:  # noqa: N802
        if self.error:
            raise self.error
        self.asked, self.hear = asked, asked["callback"]
        return self

    def __enter__(self) -> Any:
        self.open.set()
        return self

    def __exit__(self, *_: object) -> None:
        self.open.clear()

    def says(self, samples: bytes, *, lost: bool = False) -> None:
        self.hear(samples, len(samples) // 2, None, types.SimpleNamespace(input_overflow=lost))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    return device


async def test_what_is_said_comes_in_order(device: Device) -> None:
    microphone = Microphone("headset")
    heard = aiter(microphone)
    device.open.wait(0)
    first = anext(heard)
    speaking = threading.Thread(target=lambda: device.open.wait(10) and _speak(device))
    speaking.start()

    assert [await first, await anext(heard), await anext(heard)] == [b"aa", b"bb", b"cc"]
    assert (device.asked["samplerate"], device.asked["channels"], device.asked["dtype"]) == (
        16_000,
        1,
        "int16",
    )
    assert device.asked["device"] == "headset"
    assert microphone.overflows == 1
    await heard.aclose()  # type: ignore[attr-defined]
    assert not device.open.is_set()
    speaking.join()


def _speak(device: Device) -> None:
    device.says(b"aa")
    device.says(b"bb", lost=True)
    device.says(b"cc")


async def test_a_microphone_cannot_wait(device: Device) -> None:
    heard = aiter(Microphone())
    first = anext(heard)
    speaking = threading.Thread(target=lambda: device.open.wait(10) and device.says(b"aa"))
    speaking.start()
    await first
    speaking.join()
    for _ in range(300):  # 15 s in blocks of 50 ms
        device.says(bytes(1_600))

    with pytest.raises(UncommittedLimitError, match="10 s"):
        await _take(heard, 100)


async def _take(heard: AsyncIterator[bytes], count: int) -> None:
    for _ in range(count):
        await anext(heard)


async def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Device(OSError("no default input device")))

    with pytest.raises(FailedPreconditionError, match="no default input device"):
        await anext(aiter(Microphone()))


async def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)

    with pytest.raises(FailedPreconditionError, match=r"pip install '\.\[mic\]'"):
        await anext(aiter(Microphone()))
