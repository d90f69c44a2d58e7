"""openai-whisper's checkpoints into CTranslate2's folders, without the hub.

``python -m earshot.stt.engines.conversion CHECKPOINT FOLDER`` does the work, in a process of its own:
torch and transformers would otherwise stay in the memory of the engine that needs them once.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earshot import errors
from earshot.weights import Kind, Located, checksums, place

if TYPE_CHECKING:
    from whisper import Whisper

_TYPE: Final = "float16"  # on disk, as published ones are; CTranslate2 loads it in any other
# openai-whisper's names of weights to those of transformers, in this order.
_RENAMED: Final = (
    (r"\bblocks\b", "layers"),
    (r"\bmlp\.0\b", "fc1"),
    (r"\bmlp\.2\b", "fc2"),
    (r"\bmlp_ln\b", "final_layer_norm"),
    (r"\bcross_attn_ln\b", "encoder_attn_layer_norm"),
    (r"\battn_ln\b", "self_attn_layer_norm"),
    (r"\bcross_attn\b", "encoder_attn"),
    (r"\battn\b", "self_attn"),
    (r"\bquery\b", "q_proj"),
    (r"\bkey\b", "k_proj"),
    (r"\bvalue\b", "v_proj"),
    (r"\bout\b", "out_proj"),
    (r"\bln_post\b", "layer_norm"),
    (r"\bdecoder\.ln\b", "decoder.layer_norm"),
    (r"\btoken_embedding\b", "embed_tokens"),
    (r"\bpositional_embedding\b", "embed_positions.weight"),
)


def converted(checkpoint: Located, cache: Path) -> Path:
    """The checkpoint's folder for CTranslate2 in the cache, made if it is not there.

    Raises :class:`errors.FailedPreconditionError` where the file is no checkpoint or cannot be converted.
    """
    folder = cache / "converted" / checkpoint.checksum.removeprefix("sha256:")
    place(folder, lambda draft: _in_a_process(checkpoint.path, draft))
    return folder


def _in_a_process(checkpoint: Path, draft: Path) -> None:
    command = [sys.executable, "-m", "earshot.stt.engines.conversion", str(checkpoint), str(draft)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise errors.FailedPreconditionError(
            f"{checkpoint} cannot be converted for faster-whisper: {last}",
            reason="MODEL_NOT_READABLE",
            field="model",
        )


def convert(checkpoint: Path, folder: Path) -> None:
    """Writes the folder: the weights, openai-whisper's vocabulary, and what the model's mel needs."""
    from ctranslate2.converters import TransformersConverter  # noqa: PLC0415

    from earshot.stt.engines import checkpoint as checkpoints  # noqa: PLC0415

    weights = Located(checkpoint.stem, Kind.WHISPER, checkpoint, checksums.of(checkpoint))
    model = checkpoints.load(weights, "cpu")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".transformers-") as between:
        _save_for_transformers(model, Path(between))
        files = ["tokenizer.json", "preprocessor_config.json"]
        TransformersConverter(between, copy_files=files).convert(str(folder), quantization=_TYPE)


def _save_for_transformers(model: Whisper, folder: Path) -> None:
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration  # noqa: PLC0415

    same = WhisperForConditionalGeneration(WhisperConfig(**_config(model)))
    state = {_renamed(name): weight for name, weight in model.state_dict().items()}
    same.model.load_state_dict(state)
    same.generation_config = GenerationConfig(**_generation(model))
    same.save_pretrained(folder)
    _tokenizer(model).save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    _write(folder / "preprocessor_config.json", {"feature_size": model.dims.n_mels})


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _config(model: Whisper) -> dict[str, Any]:
    dims = model.dims
    return {
        "vocab_size": dims.n_vocab,
        "num_mel_bins": dims.n_mels,
        "encoder_layers": dims.n_audio_layer,
        "encoder_attention_heads": dims.n_audio_head,
        "encoder_ffn_dim": 4 * dims.n_audio_state,
        "decoder_layers": dims.n_text_layer,
        "decoder_attention_heads": dims.n_text_head,
        "decoder_ffn_dim": 4 * dims.n_text_state,
        "d_model": dims.n_audio_state,
        "max_source_positions": dims.n_audio_ctx,
        "max_target_positions": dims.n_text_ctx,
    }


def _generation(model: Whisper) -> dict[str, Any]:
    """What CTranslate2 reads of a generation config: what is never said, and where words align."""
    from whisper.tokenizer import get_tokenizer  # noqa: PLC0415

    tokens = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    special = (
        tokens.transcribe,
        tokens.translate,
        tokens.sot,
        tokens.sot_prev,
        tokens.sot_lm,
        tokens.no_speech,
    )
    config: dict[str, Any] = {
        "suppress_tokens": sorted({*tokens.non_speech_tokens, *special}),
        "begin_suppress_tokens": [tokens.encode(" ")[0], tokens.eot],
        "alignment_heads": model.alignment_heads.indices().T.tolist(),
    }
    if model.is_multilingual:
        codes = zip(tokens.all_language_codes, tokens.all_language_tokens, strict=True)
        config["lang_to_id"] = {f"<|{code}|>": token for code, token in codes}
    return config


def _tokenizer(model: Whisper) -> Any:  # noqa: ANN401 - tokenizers has no types
    """openai-whisper's own vocabulary as ``tokenizers`` has it; CTranslate2 adds the timestamps itself."""
    from transformers.convert_slow_tokenizer import TikTokenConverter  # noqa: PLC0415
    from whisper.tokenizer import get_encoding  # noqa: PLC0415

    class FromRanks(TikTokenConverter):  # type: ignore[misc] # the library is not typed for us
        """Reads the vocabulary where it is; upstream would copy it into a shared folder first."""

        @staticmethod
        def load_tiktoken_bpe(path: str) -> dict[bytes, int]:
            lines = (line.split() for line in Path(path).read_bytes().splitlines() if line)
            return {base64.b64decode(token): int(rank) for token, rank in lines}

    name = "multilingual" if model.is_multilingual else "gpt2"
    encoding = get_encoding(name, num_languages=model.num_languages)
    special = sorted(encoding.special_tokens_set, key=encoding.encode_single_token)
    untimed = [token for token in special if not re.fullmatch(r"<\|\d+\.\d\d\|>", token)]
    pattern = encoding._pat_str  # noqa: SLF001 - tiktoken shows it nowhere else
    return FromRanks(_vocabulary(name), pattern, extra_special_tokens=untimed).converted()


def _vocabulary(name: str) -> str:
    import whisper  # noqa: PLC0415

    return str(Path(whisper.__file__).parent / "assets" / f"{name}.tiktoken")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except errors.EarshotError as error:
        sys.exit(error.message)
