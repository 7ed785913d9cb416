// The examples of one setting: unpacks them, and says which of them a reader chose, in which order. Draws nothing.
"use strict";

class Examples {
  // base64 of the gzip of JSON; its form is described where it is made, in explorer.py.
  static async unpack(packed) {
    const binary = atob(packed);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Examples(await new Response(stream).json());
  }

  // `rows` holds [id, input, references, predictions]; a method's `scores` and `similarities` are columns with null
  // where there is none, the scores as means over its seeds.
  constructor({ examples, methods, texts }) {
    this.rows = examples;
    this.texts = texts;
    this.methods = methods.map(({ label, runs }, index) => ({
      index, label, runs, shown: true,
      scores: Examples.means(runs.map((run) => run.score)),
      // Retrieval does not depend on the seed: the first run's similarities are those of all.
      similarities: runs[0].shown.map((shown) => Examples.highest((shown ?? []).map(([, near]) => near))),
    }));
    this.lower = [];
  }

  // The means of columns, null where one of them has null.
  static means(columns) {
    return columns[0].map((_, i) => {
      const values = columns.map((column) => column[i]);
      return values.includes(null) ? null : values.reduce((a, b) => a + b) / values.length;
    });
  }

  static highest(values) {
    const known = values.filter((value) => value !== null);
    return known.length ? Math.max(...known) : null;
  }

  // The least and the greatest similarity of a method's demonstrations.
  range(method) {
    const known = method.similarities.filter((near) => near !== null);
    return known.reduce(([low, high], near) => [Math.min(low, near), Math.max(high, near)], [Infinity, -Infinity]);
  }

  // The scores of the two methods on an example. A method that is left open (null) stands for the best of all other
  // shown ones. Null where both are open or one has no score.
  compared(i, winner, loser) {
    if (!winner && !loser) return null;
    const pair = [winner ? winner.scores[i] : this.bestOther(i, loser), loser ? loser.scores[i] : this.bestOther(i, winner)];
    return pair.includes(null) ? null : pair;
  }

  bestOther(i, method) {
    return Examples.highest(this.methods.map((each) => (each.shown && each !== method ? each.scores[i] : null)));
  }

  // Whether the words stand in the id, the input, a reference, or the prediction of a shown method.
  mentions(i, words) {
    const [id, input, references, predictions] = this.rows[i];
    this.lower[i] ??= [[id, input, ...references].join("\n"), ...predictions].map((text) => text.toLowerCase());
    const [fixed, ...lower] = this.lower[i];
    return fixed.includes(words) || lower.some((text, index) => text.includes(words)
      && this.methods.some(({ shown, runs }) => shown && runs.some((run) => run.prediction[i] === index)));
  }

  // The places of the examples that fit, in the order asked for: "data", "difference", "similar" or "dissimilar".
  // An open `winner`, `loser`, `guide`, `least` or `most` is null.
  select({ words, winner, loser, guide, least, most, order }) {
    const margin = (i) => {
      const pair = this.compared(i, winner, loser);
      return pair ? pair[0] - pair[1] : 0;
    };
    const near = (i) => (guide ? guide.similarities[i] : null);
    const similar = (value) => value !== null && value >= (least ?? -Infinity) && value <= (most ?? Infinity);
    const comparing = winner !== null || loser !== null;
    const bounded = least !== null || most !== null;
    const fitting = [...this.rows.keys()].filter(
      (i) => (!comparing || margin(i) > 0) && (!bounded || similar(near(i))) && (!words || this.mentions(i, words)),
    );
    const key = {
      difference: (i) => -margin(i),
      similar: (i) => -(near(i) ?? -Infinity),
      dissimilar: (i) => near(i) ?? Infinity,
    }[order];
    if (!key) return fitting;
    const keyed = fitting.map((i) => [key(i), i]);
    return keyed.sort(([a, i], [b, j]) => (a === b ? i - j : a - b)).map(([, i]) => i);
  }
}
