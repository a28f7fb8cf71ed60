import torch

from gazeheads.tiny.packing import IGNORED, Packer
from gazeheads.tiny.questions import QA

FIRST = QA("who", "Who is in panel 1?", "Cat.")
SECOND = QA("panel", "What is happening in panel 2?", "Dog cuts a kite at the beach.")


def test_targets_are_the_answers_and_the_end(tokenizer):
    packed = Packer(tokenizer).pack([[FIRST, SECOND]], (1, 2))
    for number, qa in enumerate((FIRST, SECOND)):
        said = packed.targets[packed.answer_of == number]
        assert tokenizer.decode(said) == qa.answer + "<|im_end|>"
    assert (packed.targets[packed.answer_of == -1] == IGNORED).all()


def test_lengths_add_up(tokenizer):
    packer = Packer(tokenizer)
    packed = packer.pack([[FIRST, SECOND]], (2, 3))
    used = packer.prefix_length((2, 3)) + sum(packer.segment_length(q) for q in (FIRST, SECOND))
    assert used <= packed.input_ids.shape[1] < used + 8
    assert packed.image_mask.sum() == 6


def test_padding_and_other_segments_are_hidden(tokenizer):
    packed = Packer(tokenizer).pack([[FIRST, SECOND], [FIRST]], (1, 2))
    prefix = Packer(tokenizer).prefix_length((1, 2))
    at = (packed.answer_of[0] == 1).nonzero()[0, 0]
    allowed = packed.mask[0, 0, at]
    first = (packed.answer_of[0] == 0).nonzero().squeeze(1)
    assert allowed[:prefix].all()
    assert not allowed[first].any()
    assert not allowed[at + 1 :].any()
    used = prefix + Packer(tokenizer).segment_length(FIRST)
    assert not packed.mask[1, 0, :used, used:].any()


def test_segments_start_at_the_same_position(tokenizer):
    packed = Packer(tokenizer).pack([[FIRST, SECOND]], (2, 5))
    prefix = Packer(tokenizer).prefix_length((2, 5))
    second = prefix + Packer(tokenizer).segment_length(FIRST)
    starts = packed.position_ids[:, 0, [prefix, second]]
    assert torch.equal(starts[:, 0], starts[:, 1])
    # The image takes as many positions as its longer side.
    image = packed.position_ids[:, 0, packed.image_mask[0]]
    assert image[1].max() - image[1].min() == 1
    assert image[2].max() - image[2].min() == 4
    assert starts[0, 0] == image[0, 0] + 5 + 1
