import pytest

from gazeheads.tiny.corpus import tokenizer_texts
from gazeheads.tiny.model import TinyShape, build_model, build_processor, build_tokenizer

SMALL = TinyShape(
    hidden=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp=48,
    vision_hidden=32, vision_layers=2, vision_heads=2, vision_mlp=48,
)  # fmt: skip


@pytest.fixture(scope="session")
def tokenizer():
    return build_tokenizer(tokenizer_texts(seed=0, pages=800))


@pytest.fixture(scope="session")
def processor(tokenizer):
    return build_processor(tokenizer)


@pytest.fixture(scope="session")
def model(tokenizer):
    return build_model(SMALL, tokenizer, seed=0).eval()
