"""Networks with the weights of their linear layers in eight bits.

What one scale for a whole activation costs is large: ONNX Runtime's own dynamic quantization, per channel,
keeps 95.6 % of the labels that MiniLM chooses (1,552 texts, benchmarks/zero_shot_accuracy.py). Both ways here
have a scale for each token at least, so that no token suffers from another's outliers, and no text from the
texts that it shares a batch with: its scores are the same whatever else is in it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import matmul_nbits_quantizer  # type: ignore[import-untyped]

# MiniLM's vectors turn away by a cosine of 2.4, 3.7, 6.0 and 10 in 10,000 with 16, 32, 64 and 128. With 16 it
# keeps 98 % of its labels and more in each of seven sets, with 32 97.3 % in one; it is as fast as 32.
_BLOCK: Final = 16
_INT8_COMPUTE: Final = 4  # ONNX Runtime's accuracy level
_MOST: Final = 127  # of int8
_ZERO: Final = 128  # of uint8, as activations are
_CONTRIB: Final = "com.microsoft"


def blocked(source: Path, target: Path) -> None:
    """A scale for every 16 weights and 16 activations: the more exact way, and the slower one."""
    config = matmul_nbits_quantizer.DefaultWeightOnlyQuantConfig(
        block_size=_BLOCK, is_symmetric=True, accuracy_level=_INT8_COMPUTE, bits=8
    )
    logging.getLogger(matmul_nbits_quantizer.__name__).setLevel(logging.WARNING)  # a line for each node
    quantizer = matmul_nbits_quantizer.MatMulNBitsQuantizer(onnx.load(source), algo_config=config)
    quantizer.process()
    onnx.save(quantizer.model.model, target)


def per_token(source: Path, target: Path) -> None:
    """A scale for each token and each channel of the weights, as in LLM.int8 (Dettmers et al. 2022).

    y = xW is computed as max|x| ((x / max|x|) W): the quotient lies in -1..1, whatever the batch.
    """
    model = onnx.load(source)
    rewriting = _Rewriting({one.name: one for one in model.graph.initializer})
    nodes = [new for node in model.graph.node for new in rewriting.of(node)]
    used = {name for node in nodes for name in node.input}
    constants = [one for one in (*model.graph.initializer, *rewriting.constants) if one.name in used]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    model.opset_import.append(helper.make_opsetid(_CONTRIB, 1))
    onnx.save(model, target)


class _Rewriting:
    """Each node of a graph as what stands for it: itself, but for linear layers."""

    def __init__(self, weights: dict[str, TensorProto]) -> None:
        self._weights = weights
        self._quantized: set[str] = set()  # activations and weights
        self.constants = [
            numpy_helper.from_array(np.float32(1 / _MOST), "unit_scale"),
            numpy_helper.from_array(np.uint8(_ZERO), "unit_zero"),
            numpy_helper.from_array(np.float32(1e-12), "least"),
        ]

    def of(self, node: NodeProto) -> list[NodeProto]:
        """The nodes in place of ``node``."""
        if node.op_type != "MatMul" or node.input[1] not in self._weights:
            return [node]
        taken, weight = node.input
        product = helper.make_node(
            "MatMulIntegerToFloat",
            [f"{taken}.int8", f"{weight}.int8", "unit_scale", f"{weight}.scale", "unit_zero"],
            [f"{node.output[0]}.unit"],
            domain=_CONTRIB,
        )
        scaled = helper.make_node("Mul", [f"{node.output[0]}.unit", f"{taken}.most"], [node.output[0]])
        self._quantize(weight)
        return [*self._by_token(taken), product, scaled]

    def _by_token(self, taken: str) -> list[NodeProto]:
        """Layers that take the same, as query, key and value do, share it."""
        if taken in self._quantized:
            return []
        self._quantized.add(taken)
        return [
            helper.make_node("Abs", [taken], [f"{taken}.abs"]),
            helper.make_node("ReduceMax", [f"{taken}.abs"], [f"{taken}.max"], axes=[-1], keepdims=1),
            helper.make_node("Max", [f"{taken}.max", "least"], [f"{taken}.most"]),
            helper.make_node("Div", [taken, f"{taken}.most"], [f"{taken}.unit"]),
            helper.make_node(
                "QuantizeLinear", [f"{taken}.unit", "unit_scale", "unit_zero"], [f"{taken}.int8"]
            ),
        ]

    def _quantize(self, name: str) -> None:
        if name in self._quantized:
            return
        self._quantized.add(name)
        weight = numpy_helper.to_array(self._weights[name])
        scale = np.maximum(np.abs(weight).max(0), 1e-12) / _MOST
        whole = np.rint(weight / scale).astype(np.int8)
        self.constants += [
            numpy_helper.from_array(whole, f"{name}.int8"),
            numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"),
        ]
