"""*Speech*: where does the time go, and what comes in?"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from monitoring.panels import About, Limits, Panel, Query, board, heat, lines, numbers
from monitoring.selectors import CALLS, REPLICAS, quantile, rate, total

_STAGES = "earshot_stage_seconds"
_FACTOR = "earshot_real_time_factor"
LOADED = f'{REPLICAS},engine!=""'  # a replica that still loads has not said what it will serve
_BURN = "EarshotErrorBudgetBurnsFast"


def speech() -> Dashboard:
    """The dashboard for a slow answer."""
    rows = [
        ("Stages", _stages()),
        ("Streams", _streams()),
        ("Pace", _pace()),
        ("Audio", _audio()),
        ("Codecs", _codecs()),
    ]
    meaning = "Where does the time of a call go, and what comes in?"
    return board("earshot-speech", "Earshot / Speech", meaning, rows, by_client=True)


def _stages() -> list[Panel]:
    def mean(method: str) -> Query:
        chosen = f'{REPLICAS},method="{method}"'
        calls = rate("earshot_request_seconds_count", chosen)
        spent = rate(f"{_STAGES}_sum", chosen, "stage")
        return Query(f"{spent} / scalar({calls} > 0)", "{{stage}}")

    by = "component, method, stage"
    meaning = "Mean time in each stage; together they are the whole."
    return [
        lines(About("Recognize, by stage", meaning, "s"), mean("Recognize"), stacked=True),
        lines(About("ClassifySpeech, by stage", meaning, "s"), mean("ClassifySpeech"), stacked=True),
        lines(About("Classify, by stage", meaning, "s"), mean("Classify"), stacked=True),
        lines(
            About("Slowest calls, by stage", "95 of 100 calls spend less in the stage.", "s"),
            Query(quantile(0.95, _STAGES, REPLICAS, by), "{{component}} {{method}} {{stage}}"),
        ),
    ]


def _streams() -> list[Panel]:
    open_now = f'{REPLICAS},method=~"Streaming.+"'
    return [
        lines(
            About("Streams open", "Live streams that are being answered.", "short"),
            Query(total("earshot_requests_in_flight", open_now, "component"), "{{component}}"),
        ),
        lines(
            About("First interim", "From the start of a stretch of speech to its first words shown.", "s"),
            *_late("earshot_stream_first_interim_seconds"),
        ),
        lines(
            About("Final", "From the end of a stretch of speech to its final words.", "s", Limits(1, 2)),
            *_late("earshot_stream_final_seconds"),
        ),
        lines(
            About("Finals", "Stretches of speech given out.", "cps"),
            Query(rate("earshot_stream_final_seconds_count", REPLICAS, "pod"), "{{pod}}"),
        ),
        lines(
            About(
                "Acknowledgements",
                "From a chunk's arrival to its acknowledgement: for so long callers must keep it.",
                "s",
                Limits(2, 10),
            ),
            *_late("earshot_stream_acknowledgement_seconds"),
        ),
        lines(
            About("Resumed", "Connections that went on with a stream that broke, or had to move.", "cps"),
            Query(rate("earshot_streams_resumed_total", REPLICAS, "pod"), "{{pod}}"),
        ),
    ]


def _late(metric: str) -> list[Query]:
    return [Query(quantile(share, metric, REPLICAS), f"p{share * 100:g}") for share in (0.5, 0.95)]


def _pace() -> list[Panel]:
    about = "Decoding and inference over the length of the audio: below 1 it is faster than the speaker."
    return [
        lines(
            About("Real-time factor", about, "short", Limits(0.5, 1), _BURN),
            *(Query(quantile(share, _FACTOR, REPLICAS), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)),
        ),
        heat(
            About("Real-time factor, all clips", "How many clips took how much of their length.", "short"),
            rate(f"{_FACTOR}_bucket", REPLICAS, "le"),
        ),
        numbers(
            About("Engines", "Replicas by engine and model.", "short"),
            Query(
                f"count by (component, engine, model, version) (earshot_model_info{{{LOADED}}})",
                "{{engine}} {{model}} {{version}}",
            ),
        ),
    ]


def _audio() -> list[Panel]:
    heard = rate("earshot_audio_seconds_total", CALLS)
    return [
        numbers(
            About("Audio by client", "Length of the audio received in the time shown.", "h"),
            Query(
                f"sum by (client) (increase(earshot_audio_seconds_total{{{CALLS}}}[$__range])) / 3600",
                "{{client}}",
            ),
        ),
        lines(
            About("Audio received", "Seconds of audio in each second, by client: speakers at once.", "short"),
            Query(rate("earshot_audio_seconds_total", CALLS, "client"), "{{client}}"),
            stacked=True,
        ),
        lines(
            About(
                "Of it",
                "Share of the audio that was speech, and that no engine heard.",
                "percentunit",
            ),
            Query(f"{rate('earshot_speech_seconds_total', CALLS)} / ({heard} > 0)", "speech"),
            Query(f"{rate('earshot_silence_skipped_seconds_total', CALLS)} / ({heard} > 0)", "skipped"),
        ),
        lines(
            About("Text scored", "Characters in each second, by client.", "short"),
            Query(rate("earshot_characters_total", CALLS, "client"), "{{client}}"),
        ),
        lines(
            About(
                "Texts seen before", "Where their scores are kept: found, and looked for in vain.", "short"
            ),
            Query(rate("earshot_seen_texts_total", REPLICAS, "outcome"), "{{outcome}}"),
            stacked=True,
        ),
    ]


def _codecs() -> list[Panel]:
    received = rate("earshot_audio_bytes_total", CALLS, "codec")
    decoded = rate("earshot_decoded_bytes_total", CALLS, "codec")
    return [
        lines(
            About("Audio by codec", "Seconds of audio in each second.", "short"),
            Query(rate("earshot_audio_seconds_total", CALLS, "codec"), "{{codec}}"),
            stacked=True,
        ),
        lines(
            About("Received by codec", "Audio as encoded, where it could be decoded.", "Bps"),
            Query(received, "{{codec}}"),
            stacked=True,
        ),
        lines(
            About(
                "Saved by the codec",
                "Bytes that did not have to be sent, as a share of 16-bit samples at 16 kHz.",
                "percentunit",
            ),
            Query(f"clamp_min(1 - {received} / ({decoded} > 0), -1)", "{{codec}}"),
        ),
    ]
