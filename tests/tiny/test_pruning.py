import pytest
import torch

from gazeheads.tiny.pruning import PRUNING, HeadPruner

TOKENS = torch.tensor([[5, 9, 11, 4, 7, 30]])


@pytest.fixture
def trained(model):
    """A copy of the small model with gradients of some loss on it."""
    import copy

    copied = copy.deepcopy(model)
    logits = copied(input_ids=TOKENS).logits
    logits[0, -1].square().sum().backward()
    return copied


def outputs(trained):
    heads = trained.config.text_config.num_attention_heads
    layers = trained.model.language_model.layers
    weights = [layer.self_attn.o_proj.weight.detach().clone() for layer in layers]
    return torch.stack([w.view(w.shape[0], heads, -1).permute(1, 0, 2) for w in weights])


def test_nothing_is_pruned_before_its_time(trained):
    before = outputs(trained)
    HeadPruner(trained, 1).step(PRUNING[0])
    assert torch.equal(outputs(trained), before)


def test_the_head_whose_output_matters_least_goes_first_and_the_others_stay(trained):
    before = outputs(trained)
    layers = trained.model.language_model.layers
    heads = trained.config.text_config.num_attention_heads
    worth = torch.stack(
        [
            (a.weight * a.weight.grad).view(a.weight.shape[0], heads, -1).sum(dim=(0, 2)).abs()
            for a in (layer.self_attn.o_proj for layer in layers)
        ]
    )
    least = divmod(int(worth.argmin()), heads)
    HeadPruner(trained, worth.numel() - 1).step(1.0)
    after = outputs(trained)
    assert not after[least].any()
    after[least] = before[least]
    assert torch.equal(after, before)


def test_as_many_heads_stay_as_asked_and_a_later_pruner_knows_them(trained):
    pruner = HeadPruner(trained, 3)
    pruner.step(PRUNING[1])
    assert int(pruner.alive.sum()) == 3
    assert torch.equal(HeadPruner(trained, 3).alive, pruner.alive)


def test_a_pruned_head_looks_at_everything_alike(trained):
    pruner = HeadPruner(trained, 1)
    pruner.step(1.0)
    trained.set_attn_implementation("eager")
    seen = torch.stack(trained(input_ids=TOKENS, output_attentions=True).attentions)[:, 0, :, -1]
    dead = seen[~pruner.alive]
    assert torch.allclose(dead, torch.full_like(dead, 1 / TOKENS.shape[1]))
