"""Chat templates in our own words that write what those of five families write, and the very strings.

The formats are the published ones of SmolLM2 Instruct, Llama 3 Instruct, Qwen2.5 and Qwen3, Gemma 2, Mistral Instruct.
"""

import json

from tiny import write_hf_folder
from tokenizer_families import family

_CHATML = (
    "{%- for m in messages -%}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{% endif -%}"
)
_FIRST_SYSTEM = (
    "{{%- if messages[0].role != 'system' -%}}<|im_start|>system\n{}<|im_end|>\n{{% endif -%}}"  # then ChatML
)
SMOLLM2 = _FIRST_SYSTEM.format("You are a helpful AI assistant named SmolLM, trained by Hugging Face") + _CHATML
QWEN2 = _FIRST_SYSTEM.format("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.") + _CHATML
QWEN3 = (
    "{%- for m in messages -%}{%- set answer = m.role == 'assistant' -%}"
    "{%- set thinks = answer and '</think>' in m.content -%}"
    "{%- set said = m.content.split('</think>')[-1].lstrip('\n') if thinks else m.content -%}"
    "{%- set thought = '<think>\n\n</think>\n\n' if answer and loop.last else '' -%}"
    "{{- '<|im_start|>' ~ m.role ~ '\n' ~ thought ~ said ~ '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}"
    "{%- if enable_thinking is false -%}{{- '<think>\n\n</think>\n\n' -}}{%- endif -%}{%- endif -%}"
)
LLAMA3 = (
    "{{- bos_token -}}{%- for m in messages -%}"
    "{{- '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ (m.content | trim) ~ '<|eot_id|>' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}"
)
GEMMA2 = (
    "{{- bos_token -}}{%- if messages[0].role == 'system' -%}"
    "{{- raise_exception('System role not supported') -}}{%- endif -%}"
    "{%- for m in messages -%}{%- set who = {'assistant': 'model'}.get(m.role, m.role) -%}"
    "{{- '<start_of_turn>' ~ who ~ '\n' ~ (m.content | trim) ~ '<end_of_turn>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}"
)
MISTRAL = (
    "{{- bos_token -}}{%- for m in messages -%}{%- if m.role == 'user' -%}"
    "{{- '[INST] ' ~ m.content ~ ' [/INST]' -}}{%- elif m.role == 'assistant' -%}"
    "{{- ' ' ~ m.content ~ eos_token -}}{%- else -%}"
    "{{- raise_exception('Only user and assistant roles are supported!') -}}{%- endif -%}{%- endfor -%}"
)

# Family of tests/helpers/tokenizer_families → its template.
TEMPLATES = {
    "smollm2": SMOLLM2,
    "llama3": LLAMA3,
    "qwen2.5": QWEN2,
    "qwen3": QWEN3,
    "gemma2": GEMMA2,
    "mistral": MISTRAL,
}
# What stands before the answer to "the input" after the demonstration "shown" → "said".
GOLDEN = {
    "smollm2": (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nshown<|im_end|>\n<|im_start|>assistant\nsaid<|im_end|>\n"
        "<|im_start|>user\nthe input<|im_end|>\n<|im_start|>assistant\n"
    ),
    "llama3": (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nshown<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nsaid<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nthe input<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "qwen2.5": (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nshown<|im_end|>\n<|im_start|>assistant\nsaid<|im_end|>\n"
        "<|im_start|>user\nthe input<|im_end|>\n<|im_start|>assistant\n"
    ),
    "qwen3": (
        "<|im_start|>user\nshown<|im_end|>\n<|im_start|>assistant\nsaid<|im_end|>\n"
        "<|im_start|>user\nthe input<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    ),
    "gemma2": (
        "<bos><start_of_turn>user\nshown<end_of_turn>\n<start_of_turn>model\nsaid<end_of_turn>\n"
        "<start_of_turn>user\nthe input<end_of_turn>\n<start_of_turn>model\n"
    ),
    "mistral": "<s>[INST] shown [/INST] said</s>[INST] the input [/INST]",
}
# The answer "said", and the token that ends its turn.
ANSWERS = {
    "smollm2": ("said", "<|im_end|>"),
    "llama3": ("said", "<|eot_id|>"),
    "qwen2.5": ("said", "<|im_end|>"),
    "qwen3": ("said", "<|im_end|>"),
    "gemma2": ("said", "<end_of_turn>"),
    "mistral": (" said", "</s>"),
}


def put_template(folder, template):
    """Writes a template into a model's folder, as the hub has it in tokenizer_config.json; returns the folder."""
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": template}))
    return folder


def chat_folder(folder):
    """A Llama whose tokenizer, special tokens and template are those of Llama 3 Instruct, all of it tiny."""
    llama3, sizes = family("llama3"), {"max_position_embeddings": 1024, "num_hidden_layers": 1}
    write_hf_folder(folder, "llama", 0, llama3.backend.get_vocab_size(), llama3.backend, **sizes)
    settings = {**json.loads((folder / "config.json").read_text()), "eos_token_id": llama3.config["eos_token_id"]}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "tokenizer_config.json").write_text(json.dumps(llama3.tokenizer_config))
    return put_template(folder, TEMPLATES["llama3"])
