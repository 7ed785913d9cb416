"""The searches that golden sequences were made with; `make_goldens.py` and the tests share them."""

# Name → arguments of Hugging Face's `generate`, by the names that `ipt_jax.decoding.settings.Search` has for them too.
SEARCHES = {
    "greedy": {},
    "greedy_min_new_tokens": {"min_new_tokens": 6},
    "greedy_repetition_penalty": {"repetition_penalty": 1.5},
    "greedy_no_repeated_pair": {"no_repeat_ngram_size": 2},
    "greedy_all_processors": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "min_new_tokens": 4},
    "beams_2": {"num_beams": 2},
    "beams_4": {"num_beams": 4, "num_return_sequences": 4},
    "beams_4_early": {"num_beams": 4, "length_penalty": 0.6, "early_stopping": True},
    "beams_4_favouring_long_ones_early": {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True},
    "beams_4_without_length_penalty": {"num_beams": 4, "length_penalty": 0.0},
    "beams_4_favouring_short_ones": {"num_beams": 4, "length_penalty": -1.0, "early_stopping": "never"},
    "beams_5": {"num_beams": 5},
    "beams_5_without_length_penalty_early": {"num_beams": 5, "length_penalty": 0.0, "early_stopping": True},
    "beams_5_never_early": {"num_beams": 5, "early_stopping": "never"},
    "beams_4_all_processors": {
        "num_beams": 4,
        "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 2,
        "min_new_tokens": 4,
    },
}
ROWS, LONGEST, NEW_TOKENS = 200, 12, 10

# Name → class of transformers' processors and its arguments, in the order in which `generate` applies them.
PROCESSORS = {
    "repetition_penalty": ("RepetitionPenaltyLogitsProcessor", 1.7),
    "no_repeated_token": ("NoRepeatNGramLogitsProcessor", 1),
    "no_repeated_pair": ("NoRepeatNGramLogitsProcessor", 2),
    "no_repeated_triple": ("NoRepeatNGramLogitsProcessor", 3),
    "min_new_tokens": ("MinNewTokensLengthLogitsProcessor", 10, 3, [5, 7]),  # input tokens, least tokens, ends
    "min_new_tokens_reached": ("MinNewTokensLengthLogitsProcessor", 10, 2, [5, 7]),
}
WARPERS = {
    "temperature": ("TemperatureLogitsWarper", 0.7),
    "top_k": ("TopKLogitsWarper", 5),
    "top_p": ("TopPLogitsWarper", 0.8),
    "top_p_of_one_token": ("TopPLogitsWarper", 0.01),
}

# Of SmolLM2 on real inputs.
DART_SEARCHES = {"greedy": {}, "beams_4": {"num_beams": 4}}
DART_NEW_TOKENS = 32
