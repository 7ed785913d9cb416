"""The Moses detokeniser: every rule, with outputs of the Perl original, and the golden lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official import goldens

from ipt_jax.metrics.totto.moses import detokenise

# The right-hand sides were printed by detokenizer.perl -l en of Moses.
CASES = {
    "closing marks join their left": ("a , b . ... what ?! 5 % c ; d : e", "a, b.... what?! 5% c; d: e"),
    "brackets join their inside": ("( a [ b { c } d ] e )", "(a [b {c} d] e)"),
    "currency and inverted marks join their right": ("$ 5 , € 6 and ¿ why ? ¡ ay !", "$5, €6 and ¿why? ¡ay!"),
    "a mark next to a letter is no mark": ("(a ,b c) d, e", "(a ,b c) d, e"),
    "clitics join a letter or digit": ("he 's isn 't 1980 's", "he's isn't 1980's"),
    "no clitic without a letter on both sides": ("- 's dog '5 dogs", "- 's dog '5 dogs"),
    "clitics know all letters": ("café 'été कि 's m² 's", "café'été कि's m² 's"),
    "quotes alternate": ('" a " b " c', '"a" b "c'),
    "each kind of quote has its own count": ("\" a ' b \" c '", "\"a 'b\" c'"),
    "doubled quotes are a kind": ("`` a `` '' b '' ` c `", "``a`` ''b'' `c`"),
    "low and high curly quotes are one kind with straight ones": ('„ a “ b " c "', '„a“ b "c"'),
    "a closing curly quote is a word": ("“ a ” b “", "“a ” b“"),
    "a single quote after s is a possessive": ("the jones ' house ' is ' red", "the jones' house 'is' red"),
    "an open single quote is closed after s, too": ("' the jones ' house ' s", "'the jones' house 's"),
    "cjk words join each other": ("東京 大学 is 東 a京 京 x", "東京大学 is 東 a京京 x"),
    "hangul and halfwidth katakana are cjk": ("한국 어 ﾄ ﾅ a", "한국어ﾄﾅ a"),
    "entities": ("&lt; &gt; &quot; &apos; &#124; &bar;", "< > \"'| |"),
    "entities become marks": ("a &#91; b &#93; &bra; c &ket; &amp;", "a [b] [c] &"),
    "the ampersand comes last": ("&amp;lt; &amp;amp;", "&lt; &amp;"),
    "a split hyphen is joined": ("well @-@ known @-@ x@-@y", "well-known-x@-@y"),
    "blanks collapse and break what a mark joins": ("  a   b (  c ) ", "a b ( c)"),
    "only the blank separates words": ("a\xa0, b \t c\u3000.", "a\xa0, b \t c\u3000."),
    "a line that is one tag is left alone": ("<a , b>  <c . >", "<a , b>  <c . >"),
    "the null mark": ("<null>", "<null>"),
    "a tag within a line is a word": ("<b> a , </b> .", "<b> a, </b>."),
    "a blank line is left alone": (" \xa0 ", " \xa0 "),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("line", "expected"), CASES.values(), ids=CASES.keys())
def test_the_line_equals_the_perl_original(line, expected):
    assert detokenise(line) == expected


@given(st.lists(st.text("abcXYZ019-_./", min_size=1).filter(lambda word: word[0].isalnum()), min_size=1))
def test_plain_words_keep_their_blanks(words):
    assert detokenise(" ".join(words)) == " ".join(words)


@pytest.mark.parametrize("golden", goldens("totto"))
def test_every_golden_prediction_has_the_evaluators_text(golden):
    rows = golden.rows("predictions.jsonl.gz")
    assert len(rows) == (636 if golden.whole else 536)
    for row in rows:
        assert detokenise((row["prediction"].strip() or "<null>").lower()) == row["detok_prediction"]


@pytest.mark.parametrize("golden", goldens("totto"))
def test_every_golden_table_has_the_evaluators_text(golden):
    rows = golden.rows("examples.jsonl.gz")
    assert len(rows) == 28
    for row in rows:
        for table in ("precision_table", "recall_table"):
            assert detokenise(row[table]) == row[f"detok_{table}"], row["id"]
