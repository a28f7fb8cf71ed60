"""From work to tokens, FLOPs, seconds and memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gazeheads.models.blueprint import Shape
from gazeheads.models.messages import read, render
from gazeheads.study.planning.loads import Load, PromptLike, Workload
from gazeheads.study.planning.machines import Machine

if TYPE_CHECKING:
    from gazeheads.models.blueprint import Blueprint
    from gazeheads.models.inputs import Inputs

OPERATIONS = 640
"""What a pass costs per layer however little it computes, in small operations of this machine.
This and the next two were fitted to runs of comic-tiny."""
ACTED = 1000
"""The same, more, where heads are steered or watched."""
PER_ROW = 3000
"""The same of what is done per prompt outside the model: encoding, judging, writing down."""
TOUCHED = 16, 6, 4
"""How often a layer goes through the numbers of its hidden state, its MLP and its attention."""
MOVED = 3
"""How often a decode step moves its cache: it is read, and copied to grow by a token."""
BACKWARD = 3
"""A pass with its gradient, as passes without."""


@dataclass(frozen=True)
class Lengths:
    """Of one prompt.

    Attributes:
        tokens: in all.
        image: of these, image tokens.
        own: not shared with the other questions about its images.
        patches: tokens of the vision tower.
    """

    tokens: int
    image: int
    own: int
    patches: float


@dataclass(frozen=True)
class Cost:
    """What an experiment takes.

    Attributes:
        experiment, units, prompts, written: see `Workload`.
        read: prompt tokens run through all layers, or as many in parts of them.
        flops: floating-point operations.
        seconds: on the machine.
        memory: bytes at its largest batch, weights included.
    """

    experiment: str
    units: int
    prompts: int
    read: int
    written: int
    flops: float
    seconds: float
    memory: int


@dataclass(eq=False)
class Estimator:
    """Costs on one machine.

    Attributes:
        model: what is run.
        machine: what it runs on.
        element: bytes of a number of its weights.
    """

    model: Blueprint
    machine: Machine
    element: int
    _known: dict[tuple[str, int, str | None], Lengths] = field(default_factory=dict, init=False)

    @property
    def shape(self) -> Shape:
        """Of the model."""
        return self.model.shape

    @property
    def weights(self) -> int:
        """Bytes of the model."""
        return self.shape.parameters * self.element

    def encode(self, asked: PromptLike) -> Inputs:
        """The prompt as the model gets it."""
        parts = [{"type": "image"} for _ in asked.images] + [{"type": "text", "text": asked.text}]
        return self.model.encoder.encode(asked.images, [{"role": "user", "content": parts}])

    def tokens_of(self, answer: str) -> int:
        """How many tokens an answer has."""
        return len(self.model.processor.tokenizer(answer, add_special_tokens=False)["input_ids"])

    def cost(self, work: Workload) -> Cost:
        """What an experiment takes."""
        loads = [self._load(load) for load in work.loads]
        return Cost(
            work.experiment,
            work.units,
            work.prompts,
            round(sum(each[0] for each in loads)),
            work.written,
            sum(each[1] for each in loads),
            sum(each[2] for each in loads),
            max((each[3] for each in loads), default=0) + self.weights,
        )

    def _load(self, load: Load) -> tuple[float, float, float, int]:
        """Tokens read, FLOPs and seconds of all batches, and bytes of one beside the weights."""
        shape, own, rows = self.shape, self.lengths(load.asked), load.rows
        read = own.tokens + load.asked.answer
        whole = rows * read if load.layers is None else load.layers * read
        if load.asked.other is not None:
            whole = read + (rows - 1) * own.own
        factor = BACKWARD if load.backward else 1
        flops = factor * (self._prefill(whole, read) + 2 * shape.head * rows)
        flops += self._vision(own.patches) * load.encoded
        passes = 1 + (load.asked.other is not None)
        overhead = self._overhead(load.acted)
        seconds = flops / self.machine.flops + factor * passes * overhead
        seconds += factor * whole * self._touching(read)
        steps = max(0, load.new - 1)
        context = read + load.new / 2
        step = rows * (self._prefill(1, 2 * context) + 2 * shape.head)
        seconds += steps * (
            step / self.machine.flops
            + self._reading(rows * context) / self.machine.bandwidth
            + rows * self._touching(2 * context)
            + overhead
        )
        flops += steps * step
        seconds += rows * PER_ROW * self.machine.operation
        return whole * load.times, flops * load.times, seconds * load.times, self._peak(load, read)

    def _prefill(self, tokens: float, length: float) -> float:
        """FLOPs of the language model's layers on tokens that see half of a length each."""
        shape = self.shape
        attention = 4 * shape.attention_layers * shape.heads * shape.head_dim * length / 2
        return tokens * (2 * shape.layer * shape.layers + attention)

    def _vision(self, patches: float) -> float:
        """FLOPs of the vision tower on the patches of an image."""
        shape = self.shape
        return patches * (
            2 * shape.vision + 4 * shape.vision_layers * shape.vision_hidden * patches
        )

    def _reading(self, context: float) -> float:
        """Bytes that a decode step moves: weights, and the caches of all rows."""
        shape = self.shape
        weights = shape.layer * shape.layers + shape.head
        return self.element * weights + MOVED * context * self.cached

    @property
    def cached(self) -> int:
        """Bytes that the KV cache keeps of a token."""
        shape = self.shape
        return 2 * shape.attention_layers * shape.kv_heads * shape.head_dim * self.element

    def _touching(self, length: float) -> float:
        """Seconds of a token beside matrix products, when it sees half of a length."""
        shape = self.shape
        sizes = shape.hidden, shape.intermediate, shape.heads * length / 2
        numbers = sum(often * size for often, size in zip(TOUCHED, sizes, strict=True))
        return shape.layers * numbers * self.machine.touch

    def _overhead(self, acted: bool) -> float:
        """Seconds of a pass however little it computes."""
        operations = OPERATIONS + (ACTED if acted else 0)
        return self.shape.layers * operations * self.machine.operation

    def _peak(self, load: Load, read: int) -> int:
        """Bytes of a batch: its caches, one layer's activations, and the logits."""
        shape, rows = self.shape, load.rows
        live = rows * read * self.element * (6 * shape.hidden + 3 * shape.intermediate)
        if load.backward:
            live *= shape.layers
        return rows * (read + load.new) * self.cached + live + 4 * rows * shape.vocabulary

    def lengths(self, asked: PromptLike) -> Lengths:
        """Of a prompt; measured once for prompts with pictures of the same sizes."""
        sizes = str([image.size for image in asked.images])
        key = asked.text, hash(sizes), asked.other
        if key not in self._known:
            self._known[key] = self._measured(asked)
        return self._known[key]

    def _measured(self, asked: PromptLike) -> Lengths:
        if not asked.images:
            count = self._tokens_of_text(asked.text)
            return Lengths(count, 0, count, 0.0)
        encoded = self.encode(asked)
        own = len(encoded)
        if asked.other is not None:
            second = self.encode(PromptLike(asked.other, asked.images))
            shortest = min(len(encoded), len(second))
            same = (encoded.ids[:shortest] == second.ids[:shortest]).int().cumprod(0).sum()
            own = len(encoded) - min(int(same), shortest - 1)
        pixels = encoded.inputs.get("pixel_values")
        patches = 0.0 if pixels is None else pixels.numel() / (3 * self.shape.patch)
        return Lengths(len(encoded), len(encoded.tokens), own, patches)

    def _tokens_of_text(self, text: str) -> int:
        model = self.model
        content = [{"type": "text", "text": text}]
        _, conversation = read([], [{"role": "user", "content": content}])
        whole = render(model.family, model.processor, conversation, model.encoder.template)
        return len(model.processor.tokenizer(whole)["input_ids"])


def total(costs: Iterable[Cost], name: str = "all") -> Cost:
    """The sum of costs; of the memory the largest."""
    known = list(costs)
    return Cost(
        name,
        sum(c.units for c in known),
        sum(c.prompts for c in known),
        sum(c.read for c in known),
        sum(c.written for c in known),
        sum(c.flops for c in known),
        sum(c.seconds for c in known),
        max((c.memory for c in known), default=0),
    )


def duration(seconds: float) -> str:
    """A span of time as people say it.

    Example:
        >>> duration(7260)
        '2.0 h'
    """
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
