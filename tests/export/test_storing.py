"""Weights in fewer bits: what a runtime computes with them, and where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs pip install 'gazeheads[web]'")
ir = pytest.importorskip("onnx_ir", reason="needs pip install 'gazeheads[web]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'gazeheads[web]'")

WORDS, SIZE, OUT = 48, 96, 64


def small_graph(seed: int = 0) -> Any:
    """Words looked up, multiplied with a matrix, and with the words' own matrix and a bias."""
    draw = np.random.default_rng(seed)
    weights = {
        "text.embed_tokens.weight": draw.standard_normal((WORDS, SIZE)),
        "matrix": draw.standard_normal((SIZE, OUT)),
        "bias": draw.standard_normal(WORDS),
        "table": draw.standard_normal((WORDS, SIZE)),
    }
    helper = onnx.helper
    nodes = [
        helper.make_node("Gather", ["text.embed_tokens.weight", "ids"], ["words"]),
        helper.make_node("Gather", ["table", "ids"], ["turned"]),
        helper.make_node("Add", ["words", "turned"], ["sum"]),
        helper.make_node("MatMul", ["sum", "matrix"], ["product"]),
        helper.make_node("Gemm", ["sum", "text.embed_tokens.weight", "bias"], ["logits"], transB=1),
    ]
    kinds = onnx.TensorProto
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("ids", kinds.INT64, ["n"])],
        [
            helper.make_tensor_value_info("product", kinds.FLOAT, ["n", OUT]),
            helper.make_tensor_value_info("logits", kinds.FLOAT, ["n", WORDS]),
        ],
        [onnx.numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return ir.from_proto(made)


def run(path: Path) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"ids": np.arange(WORDS)})


@pytest.fixture
def exact(tmp_path: Path) -> list[np.ndarray]:
    ir.save(small_graph(), tmp_path / "exact.onnx")
    return run(tmp_path / "exact.onnx")


@pytest.mark.parametrize(("weights", "worst"), [("float32", 0), ("float16", 0.05), ("int8", 0.8)])
def test_fewer_bits_stay_close(
    weights: Any, worst: float, exact: list[np.ndarray], tmp_path: Path
) -> None:
    from gazeheads.export.storing import store

    model = small_graph()
    store(model, weights)
    ir.save(model, tmp_path / "stored.onnx")
    for found, wanted in zip(run(tmp_path / "stored.onnx"), exact, strict=True):
        assert np.abs(found - wanted).max() <= worst
        assert worst == 0 or np.abs(found - wanted).max() > 0
    kinds = {v.name: v.const_value.dtype for v in model.graph.initializers.values()}
    # a table of rotations is looked up too, and must stay exact
    assert kinds["table"] == ir.DataType.FLOAT
    assert ("matrix" in kinds) == (weights == "float32")


def test_four_bits_are_the_rounded_matrices(tmp_path: Path) -> None:
    from gazeheads.export import fourbit

    def rounded(matrix: np.ndarray) -> np.ndarray:
        import torch

        layer = torch.nn.Linear(*matrix.shape[::-1])
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(matrix.copy()))
        fourbit.round_weights(layer)
        return layer.weight.detach().numpy()

    model = small_graph()
    values = {v.name: v.const_value.numpy() for v in model.graph.initializers.values()}
    words = rounded(values["text.embed_tokens.weight"])
    matrix = rounded(values["matrix"].T.copy()).T
    assert 0 < np.abs(matrix - values["matrix"]).max() < 0.5
    np.testing.assert_array_equal(rounded(words), words)
    fourbit.pack(model)
    ir.save(model, tmp_path / "packed.onnx")
    product, logits = run(tmp_path / "packed.onnx")
    total = words + values["table"]
    np.testing.assert_allclose(product, total @ matrix, atol=1e-4)
    np.testing.assert_allclose(logits, total @ words.T + values["bias"], atol=1e-4)


def test_weights_lie_in_shards_of_the_size_asked_for(
    exact: list[np.ndarray], tmp_path: Path
) -> None:
    from gazeheads.export import shards

    folder = tmp_path / "sharded"
    folder.mkdir()
    size = WORDS * SIZE * 4
    saved = shards.save(small_graph(), folder / "small.onnx", large=0, shard=size + 100)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*saved.files, "small.onnx"])
    assert len(saved.files) == 3
    assert saved.largest == SIZE * OUT * 4
    assert (folder / "small.onnx").stat().st_size < 3000
    for found, wanted in zip(run(folder / "small.onnx"), exact, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_small_graphs_hold_their_weights(tmp_path: Path) -> None:
    from gazeheads.export import shards

    assert shards.save(small_graph(), tmp_path / "small.onnx").files == []
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
