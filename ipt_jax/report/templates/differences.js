// Word-level differences of a prediction to the nearest of its references. Pure: texts in, parts of text out.
"use strict";

const differences = (() => {
  // A word or one other visible character, with the white space before it.
  const WORD = /\s*(?:[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}_])/gu;
  const LEAST_SHARE = 0.3; // of words in common: below it nearly every word would be marked
  const MOST_CELLS = 4_000_000; // of the table of a prediction and a reference: some milliseconds

  // cells[i * (b.length + 1) + j] is the length of the longest common subsequence of a from i and b from j on.
  function commonLengths(a, b) {
    const width = b.length + 1;
    const cells = new Uint16Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i--) {
      for (let j = b.length - 1; j >= 0; j--) {
        const place = i * width + j;
        cells[place] = a[i] === b[j] ? cells[place + width + 1] + 1 : Math.max(cells[place + width], cells[place + 1]);
      }
    }
    return cells;
  }

  function split(text) {
    const pieces = text.match(WORD) ?? [];
    return { pieces, words: pieces.map((piece) => piece.trim()) };
  }

  // Between two words in common, first all that is missing, then all that is extra: `a b d` for `a c d` is
  // same "a", missing " c", extra " b", same " d".
  function align(prediction, reference, cells) {
    const parts = [];
    const gap = { missing: "", extra: "" };
    const push = (kind, text) => {
      if (parts.at(-1)?.kind === kind) parts.at(-1).text += text;
      else if (text) parts.push({ kind, text });
    };
    const close = () => {
      for (const kind of ["missing", "extra"]) {
        push(kind, gap[kind]);
        gap[kind] = "";
      }
    };
    const [a, b, width] = [prediction.words, reference.words, reference.words.length + 1];
    let [i, j] = [0, 0];
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) {
        close();
        push("same", prediction.pieces[i++]);
        j++;
      } else if (j === b.length || (i < a.length && cells[(i + 1) * width + j] >= cells[i * width + j + 1])) {
        gap.extra += prediction.pieces[i++];
      } else {
        gap.missing += reference.pieces[j++];
      }
    }
    close();
    return parts;
  }

  // {reference: its index, parts: [{kind: "same" | "extra" | "missing", text}]}, or null where no reference is near.
  // The parts that are not missing make up the prediction, but for white space at its end.
  return (prediction, references) => {
    const ours = split(prediction);
    let best = null;
    references.forEach((text, index) => {
      const theirs = split(text);
      if (ours.words.length * theirs.words.length > MOST_CELLS) return;
      const cells = commonLengths(ours.words, theirs.words);
      const share = (2 * cells[0]) / (ours.words.length + theirs.words.length);
      if (share >= LEAST_SHARE && !(best?.share >= share)) best = { index, share, theirs, cells };
    });
    return best && { reference: best.index, parts: align(ours, best.theirs, best.cells) };
  };
})();
