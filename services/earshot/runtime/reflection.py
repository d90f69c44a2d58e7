"""Server reflection, v1alpha and v1: tools can list and call the services with no proto at hand.

The two versions have the same messages on the wire (grpc.io, "gRPC Server Reflection Protocol");
grpcio-reflection implements v1alpha only, so its servicer answers under both names. Both services
describe both, so that a proxy may ask either.
"""

from __future__ import annotations

from typing import Final

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2

from earshot.gen.v1 import classification_pb2, speech_pb2, usage_pb2

SPEECH_TO_TEXT: Final[str] = speech_pb2.DESCRIPTOR.services_by_name["SpeechToText"].full_name
ZERO_SHOT_CLASSIFIER: Final[str] = classification_pb2.DESCRIPTOR.services_by_name[
    "ZeroShotClassifier"
].full_name
USAGE: Final[str] = usage_pb2.DESCRIPTOR.services_by_name["Usage"].full_name
_NAMES: Final = (SPEECH_TO_TEXT, ZERO_SHOT_CLASSIFIER, USAGE, health.SERVICE_NAME, reflection.SERVICE_NAME)
_V1: Final = "grpc.reflection.v1.ServerReflection"


def add_reflection(server: grpc.aio.Server) -> None:
    """Answers reflection on ``server`` for all services of this API."""
    servicer = reflection.aio.ReflectionServicer(_NAMES)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in (reflection.SERVICE_NAME, _V1):
        methods = {"ServerReflectionInfo": handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
