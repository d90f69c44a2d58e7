"""The parts of a release that run in pods, by the label that the chart gives them."""

from __future__ import annotations

from enum import StrEnum


class Component(StrEnum):
    """The value of ``app.kubernetes.io/component``."""

    STT = "stt"
    CLASSIFICATION = "classification"
    ENVOY = "envoy"
