// The example explorer: the controls, and one page of the chosen examples at a time.
// Everything in the data is untrusted text: it enters the document through textContent only.
"use strict";

(() => {
  const PAGE_SIZE = 20;
  const SHORT = 400; // characters of an example's demonstrations that are shown without being asked for
  const FOUND = "#find?"; // begins the part of the address that says what was chosen
  const LONG = 1500; // characters of an input from which on it scrolls in a box of its own
  const find = (id) => document.getElementById(id);
  const packs = [...document.querySelectorAll("script.pack")];
  const [settingSelect, query, winner, loser, order, guide, least, most, marks, list] =
    ["setting", "query", "winner", "loser", "order", "guide", "least", "most", "marks", "list"].map(find);
  const count = (number) => number.toLocaleString("en");
  const state = { choice: 0, examples: null, matches: [], page: 0, wanted: null };

  function element(tag, className, ...content) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...content); // a string becomes a text node
    return made;
  }

  function option(value, label) {
    const made = element("option", "", label);
    made.value = value;
    return made;
  }

  async function choose(index) {
    const choice = ++state.choice;
    const pack = packs[index];
    find("explorer").ariaBusy = "true";
    say(`Unpacking ${count(Number(pack.dataset.examples))} examples …`);
    try {
      const examples = await Examples.unpack(pack.textContent);
      if (choice === state.choice) open(examples); // else another one was chosen meanwhile
    } catch (error) {
      trouble(`The examples of ${pack.dataset.title} could not be unpacked (${error.message}).`);
    }
  }

  function open(examples) {
    state.examples = examples;
    for (const [select, any] of [[winner, "any method"], [loser, "every other"]]) {
      select.replaceChildren(option("", any), ...examples.methods.map(({ index, label }) => option(index, label)));
    }
    const guides = examples.methods.filter(({ similarities }) => similarities.some((near) => near !== null));
    guide.replaceChildren(...guides.map(({ index, label }) => option(index, label)));
    find("similarity").hidden = guides.length === 0;
    for (const each of order.options) each.disabled = each.value.endsWith("similar") && guides.length === 0;
    if (order.selectedOptions[0].disabled) order.value = "data";
    find("methods").replaceChildren(...examples.methods.map(methodCheck));
    if (state.wanted) restore(state.wanted);
    else chooseGuide();
    find("explorer").ariaBusy = "false";
  }

  // The similarities of one retriever say nothing about another's, so bounds do not outlive a choice.
  function chooseGuide() {
    least.value = most.value = "";
    showRange();
    update();
  }

  function showRange() {
    const method = methodOf(guide);
    if (method) [least.placeholder, most.placeholder] = state.examples.range(method).map((near) => near.toFixed(2));
  }

  // What was chosen, without what is usual, in the address: whoever opens it finds the same examples. Names that the
  // data does not have are passed over.
  function remember() {
    const chosen = new URLSearchParams();
    const keep = (name, value, usual = "") => value !== usual && chosen.append(name, value);
    const label = (select) => methodOf(select)?.label ?? "";
    keep("setting", packs[Number(settingSelect.value)].dataset.title, packs[0].dataset.title);
    keep("text", query.value.trim());
    keep("winner", label(winner));
    keep("loser", label(loser));
    keep("order", order.value, "data");
    if (least.value || most.value || order.value.endsWith("similar")) keep("guide", label(guide));
    keep("from", least.value);
    keep("to", most.value);
    for (const method of state.examples.methods) if (!method.shown) keep("hide", method.label);
    keep("page", String(state.page + 1), "1");
    const found = chosen.toString();
    const address = found ? FOUND + found : location.hash.startsWith(FOUND) ? "#examples" : location.hash;
    if (address !== location.hash) history.replaceState(null, "", address);
  }

  function restore(wanted) {
    state.wanted = null;
    const text = (name) => wanted.get(name) ?? "";
    const pick = (select, label) => {
      const known = [...select.options].find((each) => each.textContent === label);
      if (known) select.value = known.value;
    };
    query.value = text("text");
    pick(winner, text("winner"));
    pick(loser, text("loser"));
    pick(guide, text("guide"));
    if ([...order.options].some((each) => each.value === text("order") && !each.disabled)) order.value = text("order");
    showRange();
    [least.value, most.value] = [text("from"), text("to")];
    const hidden = wanted.getAll("hide");
    for (const [i, box] of [...find("methods").querySelectorAll("input")].entries()) {
      state.examples.methods[i].shown = box.checked = !hidden.includes(state.examples.methods[i].label);
    }
    update(Number(text("page") || 1) - 1);
    find("examples").scrollIntoView();
  }

  // The setting that the address asks for, the first one where it asks for none.
  function addressed() {
    if (!location.hash.startsWith(FOUND)) return 0;
    state.wanted = new URLSearchParams(location.hash.slice(FOUND.length));
    return Math.max(0, packs.findIndex((pack) => pack.dataset.title === state.wanted.get("setting")));
  }

  function methodCheck(method) {
    const box = element("input");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => {
      method.shown = box.checked;
      update();
    });
    return element("label", "check", box, element("span", "", method.label));
  }

  function methodOf(select) {
    return select.value === "" ? null : state.examples.methods[Number(select.value)];
  }

  function update(page = 0) {
    const bound = (input) => (input.value === "" ? null : Number(input.value));
    state.matches = state.examples.select({
      words: query.value.trim().toLowerCase(),
      winner: methodOf(winner), loser: methodOf(loser),
      guide: methodOf(guide), least: bound(least), most: bound(most),
      order: order.value,
    });
    const { methods } = state.examples;
    const shown = methods.filter((method) => method.shown).length;
    find("methods-shown").textContent = `Methods shown: ${shown === methods.length ? "all" : shown} of ${methods.length}`;
    state.page = Math.min(Math.max(Number.isInteger(page) ? page : 0, 0), pages() - 1);
    show();
  }

  function pages() {
    return Math.max(1, Math.ceil(state.matches.length / PAGE_SIZE));
  }

  function turn(by) {
    const page = Math.min(Math.max(state.page + by, 0), pages() - 1);
    if (!state.examples || page === state.page) return;
    state.page = page;
    show();
    document.querySelector(".pager").scrollIntoView();
  }

  function show() {
    const begin = state.page * PAGE_SIZE;
    const page = state.matches.slice(begin, begin + PAGE_SIZE);
    list.replaceChildren(...page.map((example, i) => exampleElement(example, i === 0)));
    if (page.length === 0) list.append(element("p", "empty", "No example fits."));
    say(`${count(state.matches.length)} of ${count(state.examples.rows.length)} examples, `
      + `page ${count(state.page + 1)} of ${count(pages())}`);
    for (const each of document.querySelectorAll(".previous")) each.disabled = state.page === 0;
    for (const each of document.querySelectorAll(".next")) each.disabled = state.page === pages() - 1;
    remember();
  }

  function say(text) {
    for (const each of document.querySelectorAll(".status")) each.textContent = text;
  }

  function trouble(text) {
    find("trouble").textContent = `${text} The same rows are in the predictions.jsonl of each run.`;
    find("trouble").hidden = false;
    find("explorer").hidden = true;
  }

  // A closed example is its summary line only; the rest is made when it is opened.
  function exampleElement(i, open) {
    const [id, input] = state.examples.rows[i];
    const summary = element("summary", "",
      element("span", "name", id), element("span", "begin", input.replace(/\s+/g, " ")));
    const pair = state.examples.compared(i, methodOf(winner), methodOf(loser));
    if (pair) summary.append(element("span", "scores", pair.map(number).join(" against ")));
    const details = element("details", "example", summary);
    const fill = () => {
      if (details.open && details.childElementCount === 1) details.append(bodyElement(i));
    };
    details.open = open;
    fill(); // at once: the toggle event comes later
    details.addEventListener("toggle", fill);
    return details;
  }

  function bodyElement(i) {
    const [, input, references] = state.examples.rows[i];
    const methods = state.examples.methods.filter(
      ({ shown, runs }) => shown && runs.some((run) => run.prediction[i] !== null),
    );
    const sides = element("div", "sides",
      element("section", "", element("h3", "", "Input"), textElement(input)),
      element("section", "", element("h3", "", references.length === 1 ? "Reference" : "References"),
        element("ol", "", ...references.map((text) => element("li", "text", text)))));
    const read = readings(i, methods);
    const short = read.flatMap(({ texts }) => texts).join("").length <= SHORT;
    const demonstrations = read.map((each) => readingElement(each, short));
    if (read.length) demonstrations.unshift(element("h3", "", "Demonstrations"));
    return element("div", "body", sides, ...demonstrations,
      element("h3", "", "Predictions"), ...methods.map((method) => methodElement(i, method)));
  }

  function textElement(text) {
    const made = element("p", "text", text);
    if (text.length > LONG) {
      made.classList.add("long");
      made.tabIndex = 0; // so that the keyboard can scroll it
    }
    return made;
  }

  function methodElement(i, method) {
    const [, , references, predictions] = state.examples.rows[i];
    const name = element("div", "method", element("div", "", method.label));
    if (method.runs.length > 1) {
      name.append(element("div", "about", `mean of ${method.runs.length} seeds ${number(method.scores[i])}`));
    }
    const answers = element("div", "answers");
    predictions.forEach((prediction, index) => {
      const runs = method.runs.filter((run) => run.prediction[i] === index);
      if (runs.length) answers.append(...answer(i, prediction, references, runs, method));
    });
    return element("div", [winner, loser].some((select) => methodOf(select) === method) ? "prediction chosen" : "prediction", name, answers);
  }

  // A prediction with the seeds that gave it, what is known of it, and its score.
  function answer(i, prediction, references, runs, method) {
    const text = element("p", "text");
    const facts = [];
    if (method.runs.length > 1) facts.push(seeds(runs));
    if (prediction.trim() === "") {
      text.classList.add("empty");
      text.append("empty");
    } else {
      const found = differences(prediction, references);
      text.append(...(found ? found.parts.flatMap(partNodes) : [prediction]));
      if (found && references.length > 1) facts.push(`compared with reference ${found.reference + 1}`);
      if (!found) facts.push("too unlike every reference to mark differences");
    }
    if (runs.some((run) => run.cut[i])) facts.push("cut off at the length limit");
    const logs = runs.map((run) => run.log_probability[i]).filter((value) => value !== null);
    if (logs.length) facts.push(`log probability ${logs.map((value) => minus(value.toFixed(1))).join(", ")}`);
    return [element("div", "", text, element("p", "about", facts.join(" · "))),
      element("div", "score", number(runs[0].score[i]))];
  }

  // A mark does not cover the white space before it. That of a missing word is drawn, not text: it is not there.
  function partNodes({ kind, text }) {
    const words = text.trimStart();
    const space = text.slice(0, text.length - words.length);
    if (kind === "same") return [text];
    return kind === "extra" ? [space, element("ins", "", words)] : [element("del", space && "apart", words)];
  }

  // What stood before the input, each different reading once, with the methods that read it.
  function readings(i, methods) {
    const found = new Map();
    for (const method of methods) {
      const own = new Map();
      for (const run of method.runs) {
        const [shown, read] = [run.shown[i] ?? [], run.read[i] ?? []];
        if (shown.length + read.length) {
          const key = JSON.stringify([shown, read]);
          own.set(key, [...(own.get(key) ?? []), run]);
        }
      }
      for (const [key, runs] of own) {
        const reader = runs.length === method.runs.length ? method.label : `${method.label}, ${seeds(runs)}`;
        found.set(key, [...(found.get(key) ?? []), reader]);
      }
    }
    return [...found].map(([key, readers]) => {
      const [shown, read] = JSON.parse(key);
      return { shown, texts: read.map((index) => state.examples.texts[index]), readers };
    });
  }

  function readingElement({ shown, texts, readers }, open) {
    const names = shown.map(([id, near]) => (near === null ? id : `${id} (similarity ${minus(near.toFixed(2))})`));
    const made = element("details", "reading", element("summary", "",
      element("span", "", names.join(", ") || "other text before the input"), " ",
      element("span", "about", readers.join("; "))));
    made.append(...texts.map((text) => textElement(text.trimEnd())));
    made.open = open;
    return made;
  }

  function seeds(runs) {
    return `${runs.length === 1 ? "seed" : "seeds"} ${runs.map((run) => run.seed).join(", ")}`;
  }

  function minus(text) {
    return text.replace("-", "\u2212");
  }

  function number(score) {
    return score === null ? "–" : minus(score.toFixed(1));
  }

  settingSelect.append(...packs.map((pack, i) => option(i, pack.dataset.title)));
  find("setting-control").hidden = packs.length === 1;
  settingSelect.addEventListener("change", () => choose(Number(settingSelect.value)));
  guide.addEventListener("change", chooseGuide);
  for (const each of [query, least, most]) each.addEventListener("input", () => update());
  for (const each of [winner, loser, order]) each.addEventListener("change", () => update());
  marks.addEventListener("change", () => list.classList.toggle("unmarked", !marks.checked));
  document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
  for (const each of document.querySelectorAll(".previous")) each.addEventListener("click", () => turn(-1));
  for (const each of document.querySelectorAll(".next")) each.addEventListener("click", () => turn(1));
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [tabindex]");
    if (typing || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  });
  if (typeof DecompressionStream === "undefined") {
    trouble("This browser cannot unpack the examples: it has no DecompressionStream. Chrome and Edge 80, "
      + "Firefox 113, Safari 16.4 and what came after them do.");
  } else {
    find("explorer").hidden = false;
    const begin = () => {
      settingSelect.value = addressed();
      choose(Number(settingSelect.value));
    };
    addEventListener("hashchange", () => location.hash.startsWith(FOUND) && begin());
    begin();
  }
})();
