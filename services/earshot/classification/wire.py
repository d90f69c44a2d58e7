"""What the front process and its workers send each other about texts."""

from __future__ import annotations

from typing import Final

import msgspec

from earshot.classification.types import ClassificationRequest, ModelInfo

Scores = list[tuple[float, ...]]  # for each text, in its labels' order

encode: Final = msgspec.msgpack.Encoder().encode
decode_info: Final = msgspec.msgpack.Decoder(ModelInfo).decode
decode_requests: Final = msgspec.msgpack.Decoder(list[ClassificationRequest]).decode
decode_scores: Final = msgspec.msgpack.Decoder(Scores).decode
