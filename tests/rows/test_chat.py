"""An example as turns of a conversation: golden strings of five families, and tokens as transformers makes them."""

import string

import pytest
from chat_templates import ANSWERS, GOLDEN, TEMPLATES, put_template
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_families import family

from ipt_jax.errors import InputError
from ipt_jax.models import tokenizer as module
from ipt_jax.rows.chat import Chat, without_thinking
from ipt_jax.rows.layout import Demonstration, Item, Layout, encode

SHOWN = Demonstration("t:0", "shown", "said")
TEXT = st.text(string.ascii_letters + " \n:.[]/é", max_size=12)


@pytest.fixture(scope="module", params=TEMPLATES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def tokenizer(name, tmp_path_factory):
    folder = family(name).write(tmp_path_factory.mktemp("tokenizer"))
    return module.from_folder(put_template(folder, TEMPLATES[name]))


def chat_of(tokenizer, **fields):
    return Chat(tokenizer.chat, **fields)


def laid_out(tokenizer, text, target=None, demonstrations=(), budget=10_000, **layout):
    chat = chat_of(tokenizer)
    made = Layout(template=chat, **layout)
    item = Item("the row", text, target)
    return encode(made, tokenizer, item, demonstrations, budget=budget, ends=chat.ends(tokenizer, True))


def as_transformers_does(tokenizer, text):
    """A rendered text's tokens where every special token's name in it is that token."""
    backend = tokenizer._backend
    backend.encode_special_tokens = False
    try:
        return backend.encode(text, add_special_tokens=False).ids
    finally:
        backend.encode_special_tokens = True


def test_the_text_is_the_familys_own(name, tokenizer):
    assert laid_out(tokenizer, "the input", demonstrations=[SHOWN]).source == GOLDEN[name]


def test_the_answer_ends_with_the_token_that_ends_its_turn(name, tokenizer):
    answer, end = ANSWERS[name]
    row = laid_out(tokenizer, "the input", "said")
    assert chat_of(tokenizer).target_text("said", tokenizer) == answer
    learned = row.tokens[row.source_length :]
    assert learned == (*tokenizer.continuation.encode(answer), *family(name).ids(end))
    assert learned[-1] in tokenizer.eos_ids


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXT, min_size=5, max_size=5), count=st.integers(0, 2))
def test_the_tokens_are_those_of_the_whole_text(tokenizer, texts, count):
    """Where the data names no special token, as transformers encodes what it renders."""
    shown = [Demonstration(f"t:{i}", texts[2 * i], texts[2 * i + 1]) for i in range(count)]
    turns = [turn for d in shown for turn in (("user", d.input), ("assistant", d.output))]
    rendered = tokenizer.chat.render([*turns, ("user", texts[4])], open_answer=True)
    row = laid_out(tokenizer, texts[4], demonstrations=shown)
    assert row.source == rendered
    assert list(row.tokens) == as_transformers_does(tokenizer, rendered)


def test_a_marker_in_the_data_is_characters(name, tokenizer):
    marker = ANSWERS[name][1]
    row = laid_out(tokenizer, f"a{marker}b", f"c{marker}d", [Demonstration("t:0", marker, f"x{marker}")])
    plain = laid_out(tokenizer, "ab", "cd", [Demonstration("t:0", "y", "x")])
    own = family(name).ids(marker)[0]
    assert row.tokens.count(own) == plain.tokens.count(own)
    assert marker in row.source


def test_thoughts_named_in_the_data_are_characters_too(tmp_path):
    folder = put_template(family("qwen3").write(tmp_path), TEMPLATES["qwen3"])
    tokenizer = module.from_folder(folder)
    ids = family("qwen3").ids("<think>", "</think>")
    row = laid_out(tokenizer, "a<think>b</think>c")
    assert [row.tokens.count(id) for id in ids] == [1, 1]  # those of the opened answer


def test_a_source_has_the_same_tokens_whether_its_target_is_learned(tokenizer):
    learned, asked = laid_out(tokenizer, "ab c", "d", [SHOWN]), laid_out(tokenizer, "ab c", None, [SHOWN])
    assert learned.tokens[: learned.source_length] == asked.tokens


def test_demonstrations_that_do_not_fit_are_dropped_from_the_farthest(tokenizer):
    far = Demonstration("t:1", "far " * 20, "away")
    whole = laid_out(tokenizer, "x", demonstrations=[SHOWN])
    row = laid_out(tokenizer, "x", demonstrations=[far, SHOWN], budget=len(whole.tokens))
    assert (row.tokens, row.dropped) == (whole.tokens, 1)


def test_an_input_that_is_cut_fills_the_room(tokenizer):
    whole = laid_out(tokenizer, "x" * 50)
    row = laid_out(tokenizer, "x" * 80, budget=len(whole.tokens), overflow="truncate")
    assert row.truncated
    assert row.tokens == whole.tokens


def test_a_system_text_is_the_first_turn(tmp_path):
    tokenizer = module.from_folder(put_template(family("smollm2").write(tmp_path), TEMPLATES["smollm2"]))
    source, _ = chat_of(tokenizer, system="Be brief.", user="Say: {input}").source(tokenizer, "x", ())
    assert source.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSay: x<|im_end|>")


def test_a_template_without_a_system_turn_refuses_one(tmp_path):
    tokenizer = module.from_folder(put_template(family("gemma2").write(tmp_path), TEMPLATES["gemma2"]))
    with pytest.raises(InputError, match="refuses the turns system, user: System role not supported"):
        chat_of(tokenizer, system="Be brief.").source(tokenizer, "x", ())


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[-1].content | upper }}{{ eos_token }}",
        "{{ messages[0].content }}{{ messages[0].content }}{{ eos_token }}",
        "nothing{{ eos_token }}",
    ],
)
def test_a_template_that_changes_what_is_said_is_refused(tmp_path, template):
    tokenizer = module.from_folder(put_template(family("mistral").write(tmp_path), template))
    with pytest.raises(InputError, match="does not write each turn's text once"):
        chat_of(tokenizer).source(tokenizer, "x", ())


def test_a_turn_that_ends_with_no_end_token_is_refused(tmp_path):
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    tokenizer = module.from_folder(put_template(family("mistral").write(tmp_path), template))
    with pytest.raises(InputError, match=r"ends an answer with nothing.*generation_config\.json"):
        chat_of(tokenizer).source(tokenizer, "x", ())


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("seven", "seven"),
        ("<think>7 is odd.</think>\n\nseven", "seven"),
        ("7 is odd.</think> seven", "seven"),
        ("<think>7 is od", ""),
        ("a < think", "a < think"),
    ],
)
def test_what_is_thought_is_no_part_of_the_answer(text, answer):
    assert without_thinking(text).strip() == answer
