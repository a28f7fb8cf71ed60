"""What acts on the forward passes of one model: every route asks here, and only here.

The rules, the first that fits: a pass made by this package runs under the plan it was given, and
nothing else; any other pass under the open `with vlm.steer(...)` of its model that surround it
(`scope`); else it is the plain model.
"""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from gazeheads.attention import ambient
from gazeheads.attention.ambient import SteeringContext
from gazeheads.attention.encoded_images import EncodedImages
from gazeheads.attention.flex import KERNELS, Kernel
from gazeheads.attention.fork import BlockHooks
from gazeheads.attention.implementations import ours, plain_of, surely_padded
from gazeheads.attention.intervention import InterventionError
from gazeheads.attention.known_prompts import KnownPrompts
from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.scope import in_force
from gazeheads.errors import GazeheadsError


class _Thread(threading.local):
    """What one thread is doing with the model."""

    def __init__(self) -> None:
        self.given: list[ForwardPlan | None] = []  # plans of this package's own passes
        self.current: ForwardPlan | None = None  # of the pass under way
        self.running = False
        self.consulted = 0  # attention layers that asked in this pass
        self.run: ambient.AmbientRun | None = None  # that a prefill began in this pass
        self.uncached: ambient.AmbientRun | None = None  # a generation without a KV cache


class ForwardState:
    """The open steerings of one model and the passes under way.

    Attributes:
        text_config: of the language model.
        layers, heads: of the language model.
        with_heads: how many of the layers have attention heads; hybrid models have others too.
        name: of the model, in messages.
        prompts: whose image tokens are known.
        block_hooks: of the language model's blocks, for prefills that rows share.
        open: the `with` statements that have begun and not ended, in any thread.
        passes: forward passes so far.
        kernel: what computes steered heads: "second", a second path beside the plain one, or
            "flex", FlexAttention, where a mode allows it (soft and hard, scores without a cap).
            Which is faster on a GPU was not measured; on the CPU the second path is.
        before: the attention implementation that the model was loaded with.
    """

    def __init__(self, text_config: Any, with_heads: int, name: str) -> None:
        self.text_config, self.with_heads = text_config, with_heads
        self.layers = int(text_config.num_hidden_layers)
        self.heads = int(text_config.num_attention_heads)
        self.name = name
        self.prompts = KnownPrompts()
        self.block_hooks = BlockHooks({})
        self.open: list[SteeringContext] = []
        self.passes = 0
        self.kernel: Kernel = "second"
        self.before = plain_of(getattr(text_config, "_attn_implementation", None))
        self._runs: weakref.WeakKeyDictionary[Any, ambient.AmbientRun] = weakref.WeakKeyDictionary()
        self._features = EncodedImages()
        self._lock = threading.Lock()
        self._thread = _Thread()

    def __deepcopy__(self, memo: dict[int, Any]) -> ForwardState:
        """A copy of a model is another model: nothing is open for it."""
        fresh = ForwardState(copy.deepcopy(self.text_config, memo), self.with_heads, self.name)
        fresh.before = self.before  # the config may say another by now
        memo[id(self)] = fresh
        return fresh

    def __reduce__(self) -> tuple[Any, ...]:
        return ForwardState, (self.text_config, self.with_heads, self.name)

    @property
    def images(self) -> EncodedImages:
        """Images that were encoded ahead of the pass that reads them."""
        return self._features

    @property
    def current(self) -> ForwardPlan | None:
        """The plan of the pass that this thread is running."""
        return self._thread.current

    def add(self, context: SteeringContext) -> None:
        """Puts a `with` in force."""
        with self._lock:
            self.open = [*self.open, context]

    def remove(self, context: SteeringContext) -> None:
        """Ends a `with`."""
        with self._lock:
            self.open = [each for each in self.open if each is not context]

    def surrounding(self) -> tuple[SteeringContext, ...]:
        """The open `with` of this model that surround the running code, the outermost first."""
        return in_force(self.open)[0] if self.open else ()

    @contextmanager
    def running(self, plan: ForwardPlan | None, padded: bool = False) -> Iterator[None]:
        """Runs passes of this thread under a plan (None: the plain model) and nothing else.

        Args:
            plan: what acts.
            padded: a pass has an attention mask only if some row is padded; so nobody needs to
                read the mask's values to find out.
        """
        given = self._thread.given
        given.append(plan)
        try:
            with surely_padded(padded):
                yield
        finally:
            given.pop()

    def installed(self) -> bool:
        """Whether the attention function is still the model's."""
        return getattr(self.text_config, "_attn_implementation", None) == ours(self.before)

    def check_installed(self) -> None:
        """Raises InterventionError if the attention function is no longer the model's."""
        if not self.installed():
            now = getattr(self.text_config, "_attn_implementation", None)
            raise InterventionError(
                f"the attention of {self.name} was switched to {now!r} after it was wrapped, or "
                "taken off by unwrap, so nothing can be steered or recorded: wrap the model again"
            )

    def begin(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before a forward pass of the model: decides what acts on it."""
        if torch.compiler.is_compiling():
            _begin_uncompiled(self, model, args, kwargs)
            return
        thread = self._thread
        self.passes += 1
        thread.current, thread.run, thread.consulted, thread.running = None, None, 0, True
        # a text begun by a thread inside a `with` goes on steered when that has ended
        if not thread.given and not self.open and not self._runs:
            _check_outputs(self, kwargs)
            return
        ids = kwargs.get("input_ids", args[0] if args else None)
        embeds = kwargs.get("inputs_embeds")
        tokens = ids if ids is not None else embeds
        if tokens is None:
            return
        cache = kwargs.get("past_key_values")
        past = int(cache.get_seq_length()) if cache is not None else 0
        plan = thread.given[-1] if thread.given else self._ambient(ids, past, cache, kwargs)
        if plan is None:
            return
        self.check_installed()
        if model.training and getattr(model, "is_gradient_checkpointing", False):
            raise InterventionError(
                "gradient checkpointing runs layers again outside the steered pass: switch it off "
                "with model.gradient_checkpointing_disable()"
            )
        _check_outputs(self, kwargs)
        if self.kernel not in KERNELS:
            raise InterventionError(f"unknown kernel {self.kernel!r}: use second or flex")
        plan.kernel = self.kernel
        plan.begin(past, tokens.shape[1], tokens.shape[0])
        thread.current = plan

    def _ambient(
        self, ids: torch.Tensor | None, past: int, cache: Any, kwargs: Mapping[str, Any]
    ) -> ForwardPlan | None:
        """The plan of what surrounds a pass that this package did not make."""
        contexts, adopted = in_force(self.open)
        run = self._run_of(cache) if past else self._thread.uncached
        if past and run is not None and run.goes_on(contexts):
            return run.plan
        if not contexts:
            return None
        if past:
            raise InterventionError(
                "steering must be in force when the prompt is read, not only later: begin the "
                "`with vlm.steer(...)` before the prefill"
            )
        again = run is not None and cache is None and run.contexts == contexts
        if run is None or not again or not run.extends(self, ids, kwargs):
            try:
                run = ambient.begin_run(self, contexts, adopted, ids, kwargs)
            except GazeheadsError:
                for context in contexts:  # it was told why
                    context.used = True
                raise
        self._thread.run = run
        self._thread.uncached = run if cache is None else None
        if cache is not None:
            self._runs[cache] = run
        return run.plan

    def _run_of(self, cache: Any) -> ambient.AmbientRun | None:
        try:
            return self._runs.get(cache)
        except TypeError:  # a cache that cannot be referenced weakly
            return None

    def consult(self) -> ForwardPlan | None:
        """What an attention layer asks: the plan of the pass it belongs to.

        Raises:
            InterventionError: a part of the model was called from outside a pass of the model
                while steering is in force.
        """
        thread = self._thread
        thread.consulted += 1
        if not thread.running and self.open and in_force(self.open)[0]:
            raise InterventionError(
                f"a part of {self.name} was called by itself inside `with vlm.steer(...)`: only "
                "passes of the whole model can be steered"
            )
        return thread.current

    def end(self, output: Any) -> None:
        """After a forward pass, or after it failed (then without output)."""
        thread = self._thread
        plan, thread.current, thread.running = thread.current, None, False
        made = getattr(output, "past_key_values", None)
        if thread.run is not None and made is not None:  # a cache that the model made itself
            self._runs[made] = thread.run
        if output is None or plan is None or not (plan.active or plan.recording):
            return
        if thread.consulted < self.with_heads and not torch.compiler.is_compiling():
            raise InterventionError(
                f"only {thread.consulted} of {self.with_heads} attention layers of {self.name} "
                "passed through the attention function: something replaced them, so the pass was "
                "not steered or recorded"
            )


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _begin_uncompiled(
    state: ForwardState, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    state.begin(model, args, kwargs)


def _check_outputs(state: ForwardState, kwargs: Mapping[str, Any]) -> None:
    wanted = kwargs.get("output_attentions")
    if wanted is None:
        wanted = getattr(state.text_config, "output_attentions", False)
    if wanted and state.installed():
        raise InterventionError(
            "output_attentions=True needs eager attention, which a wrapped model does not run: "
            "use vlm.watch(...), or vlm.unwrap() and "
            'model.set_attn_implementation("eager")'
        )
