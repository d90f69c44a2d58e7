"""What the front process and its workers send each other about a clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from earshot.audio.formats import AudioFormat
from earshot.stt.types import ModelInfo, RecognitionOptions, Transcript

_T = TypeVar("_T")


def _decoder(kind: type[_T]) -> Callable[[bytes], _T]:
    return msgspec.msgpack.Decoder(kind).decode


encode: Callable[[AudioFormat | ModelInfo | RecognitionOptions | Transcript | float], bytes] = (
    msgspec.msgpack.Encoder().encode
)
decode_format = _decoder(AudioFormat)
decode_info = _decoder(ModelInfo)
decode_options = _decoder(RecognitionOptions)
decode_transcript = _decoder(Transcript)
decode_seconds = _decoder(float)
