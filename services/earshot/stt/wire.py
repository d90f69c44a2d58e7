"""What the front process and its workers send each other about a clip."""

from __future__ import annotations

from typing import Final

import msgspec

from earshot.audio.formats import AudioFormat
from earshot.stt.types import ModelInfo, RecognitionOptions, Transcript

encode: Final = msgspec.msgpack.Encoder().encode
decode_format: Final = msgspec.msgpack.Decoder(AudioFormat).decode
decode_info: Final = msgspec.msgpack.Decoder(ModelInfo).decode
decode_options: Final = msgspec.msgpack.Decoder(RecognitionOptions).decode
decode_transcript: Final = msgspec.msgpack.Decoder(Transcript).decode
decode_seconds: Final = msgspec.msgpack.Decoder(float).decode
