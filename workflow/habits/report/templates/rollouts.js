// The rollout browser: an index of a few bytes a rollout decides what is shown; texts come with shards.
(function () {
  "use strict";
  const form = document.getElementById("filters");
  if (!form) return;
  const PAGE = 20;
  const JUDGED = 8, ORACLE_FAILED = 16, JUDGE_FAILED = 32;
  const names = JSON.parse(document.getElementById("behavior-data").textContent);
  const list = document.getElementById("rollouts");
  const counter = document.getElementById("shown");
  const pagers = document.querySelectorAll(".pager");
  const fields = ["experiment", "condition", "seed", "step", "outcome", "behavior", "rater", "problem"];
  const waiting = new Map(), shards = new Map();
  let index = null, cells, outcomes, seen, problemOf, firstRow, first = 0, found = [], turn = 0;

  // All text enters the page through textContent: model text is never read as HTML.
  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  async function unpack(text) {
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  function script(file) {
    const node = make("script");
    node.src = "rollouts/" + file;
    node.onerror = () => { counter.textContent = "rollouts/" + file + " is missing; write the report again."; };
    document.head.append(node);
  }

  window.habitsShard = (number, text) => unpack(text).then(waiting.get(number));

  function shard(number) {
    if (!shards.has(number)) {
      shards.set(number, new Promise((resolve) => {
        waiting.set(number, resolve);
        script(String(number).padStart(3, "0") + ".js");
      }));
    }
    return shards.get(number);
  }

  window.habitsIndex = async (text) => {
    index = await unpack(text);
    const [cell, outcome, shown] = index.columns.map(bytes);
    cells = new Uint16Array(cell.buffer);
    outcomes = outcome;
    seen = shown;
    problemOf = new Uint32Array(cells.length);
    firstRow = [];
    let row = 0;
    index.inShard = new Map();
    index.problems.forEach(([, rows, number], place) => {
      firstRow.push(row);
      problemOf.fill(place, row, row + rows);
      row += rows;
      index.inShard.set(place, place - index.problems.findIndex((other) => other[2] === number));
    });
    fillForm();
    readHash();
  };

  function fill(name, values, label) {
    for (const value of values) {
      const option = make("option", "", label ? label(value) : value);
      option.value = value;
      form.elements[name].append(option);
    }
  }

  function fillForm() {
    const unique = (place) => [...new Set(index.cells.map((cell) => cell[place]))].sort((a, b) => a - b);
    const held = new Set(index.conditions.flatMap((condition) => condition.experiments));
    fill("experiment", index.experiments.filter((name) => held.has(name)));
    const title = Object.fromEntries(index.conditions.map((condition) => [condition.path, condition.name]));
    fill("condition", Object.keys(title), (path) => title[path]);
    fill("seed", unique(1));
    fill("step", unique(2));
    fill("outcome", index.reasons.filter((_, place) => outcomes.some((outcome) => (outcome & 7) === place)));
    fill("behavior", index.behaviors, (name) => "shows " + names[name].title);
    fill("behavior", ["none"], () => "shows none");
  }

  // Which cells a filter admits is decided once; rows are then compared by number.
  function admitted(wanted) {
    return index.cells.map(([condition, seed, step]) => {
      const { path, experiments } = index.conditions[condition];
      return (!wanted.condition || path === wanted.condition)
        && (!wanted.experiment || experiments.includes(wanted.experiment))
        && (!wanted.seed || String(seed) === wanted.seed)
        && (!wanted.step || String(step) === wanted.step);
    });
  }

  function search(wanted) {
    const cellOk = admitted(wanted);
    const problemOk = index.problems.map(([name]) => !wanted.problem || name.includes(wanted.problem));
    const reason = index.reasons.indexOf(wanted.outcome);
    const judge = wanted.rater === "judge";
    const mask = wanted.behavior === "none" || !wanted.behavior ? 0 : 1 << index.behaviors.indexOf(wanted.behavior);
    const rows = [];
    for (let row = 0; row < cells.length; row += 1) {
      if (!cellOk[cells[row]] || !problemOk[problemOf[row]]) continue;
      if (wanted.outcome && (outcomes[row] & 7) !== reason) continue;
      if (judge && !(outcomes[row] & JUDGED)) continue;
      const shown = judge ? seen[row] >> 4 : seen[row] & 15;
      if (mask && !(shown & mask)) continue;
      const failed = outcomes[row] & (judge ? JUDGE_FAILED : ORACLE_FAILED);
      if (wanted.behavior === "none" && (shown || failed)) continue;
      rows.push(row);
    }
    return rows;
  }

  async function load(row) {
    const place = problemOf[row];
    const [problem, , number] = index.problems[place];
    const held = (await shard(number)).problems[index.inShard.get(place)];
    const [sample, reward, tokens, prompt, text, oracle, judge] = held.rows[row - firstRow[place]];
    const [condition, seed, step] = index.cells[cells[row]];
    const reason = index.reasons[outcomes[row] & 7];
    return {
      row, problem, sample, reward, tokens, text, oracle, judge, seed, step, reason,
      condition: index.conditions[condition], prompt: held.prompts[prompt], solution: held.solution,
    };
  }

  function traceText(text, spans) {
    const node = make("p", "trace");
    const letters = Array.from(text); // spans count characters, JavaScript counts halves of some
    const edges = new Set([0, letters.length]);
    for (let i = 0; i < spans.length; i += 3) edges.add(spans[i + 1]).add(spans[i + 2]);
    const cuts = [...edges].sort((a, b) => a - b);
    for (let i = 0; i + 1 < cuts.length; i += 1) {
      const words = letters.slice(cuts[i], cuts[i + 1]).join("");
      const over = new Set(), ending = new Set();
      for (let s = 0; s < spans.length; s += 3) {
        if (spans[s + 1] <= cuts[i] && cuts[i + 1] <= spans[s + 2]) over.add(spans[s]);
        if (spans[s + 2] === cuts[i + 1]) ending.add(spans[s]);
      }
      node.append(over.size ? marked(words, [...over].sort(), [...ending].sort()) : words);
    }
    return node;
  }

  function marked(words, over, ending) {
    const shown = over.map((place) => index.behaviors[place]);
    const mark = make("mark", "tint-" + shown[0] + " line-" + shown[shown.length - 1], words);
    mark.title = shown.map((name) => names[name].title).join(", ");
    if (ending.length) {
      mark.dataset.label = ending.map((place) => names[index.behaviors[place]].short).join(" + ");
      mark.classList.add("tag-" + index.behaviors[ending[0]]);
    }
    return mark;
  }

  function fact(terms, term, value) {
    const pair = make("div");
    pair.append(make("dt", "", term), make("dd", "", value));
    terms.append(pair);
  }

  function countsText(counts) {
    if (counts.every((count) => count === null)) return "not rated";
    return index.behaviors.flatMap((name, place) => {
      const count = counts[place];
      return count === null ? [names[name].title + " not rated"] : count ? [names[name].title + " " + count] : [];
    }).join(", ") || "none";
  }

  function details(summary, ...nodes) {
    const node = make("details");
    node.append(make("summary", "", summary), ...nodes);
    return node;
  }

  function card(rollout, byJudge) {
    const node = make("li", "rollout");
    const head = make("div", "rollout-head");
    head.append(make("h2", "", rollout.problem));
    head.append(make("span", "outcome" + (rollout.reason === "correct" ? " good" : ""), rollout.reason));
    const terms = make("dl", "facts inline");
    fact(terms, "Condition", rollout.condition.name);
    fact(terms, "Seed", String(rollout.seed));
    fact(terms, "RL step", String(rollout.step));
    fact(terms, "Sample", String(rollout.sample));
    fact(terms, "Reward", String(rollout.reward));
    fact(terms, "Tokens", String(rollout.tokens));
    fact(terms, "Oracle", countsText(rollout.oracle[0]));
    if (rollout.judge) fact(terms, "Judge", countsText(rollout.judge[0]));
    let text = traceText(rollout.text, (byJudge && rollout.judge ? rollout.judge : rollout.oracle)[1]);
    node.append(head, terms);
    if (rollout.judge) {
      const choice = raterChoice(byJudge, (judge) => {
        const other = traceText(rollout.text, (judge ? rollout.judge : rollout.oracle)[1]);
        text.replaceWith(other);
        text = other;
      });
      node.append(choice);
    }
    node.append(text, foot(rollout));
    return node;
  }

  function raterChoice(byJudge, change) {
    const group = make("div", "choice");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Marks by");
    const buttons = ["oracle", "judge"].map((name) => {
      const button = make("button", "", name);
      button.type = "button";
      return button;
    });
    const press = (judge) => buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(judge === (i === 1))));
    buttons.forEach((button, i) => button.addEventListener("click", () => { press(i === 1); change(i === 1); }));
    press(byJudge);
    group.append("Marks by ", ...buttons);
    return group;
  }

  function foot(rollout) {
    const node = make("div", "rollout-foot");
    node.append(details("Prompt", make("p", "trace", rollout.prompt)));
    if (rollout.solution) node.append(details("A solution", make("p", "trace", rollout.solution)));
    if (rollout.judge && rollout.judge.length > 2) node.append(judgeReply(rollout.judge));
    node.append(beside("Other steps", rollout, (cell, own) => cell[0] === own[0] && cell[1] === own[1]));
    node.append(beside("Other conditions", rollout, (cell, own) => cell[2] === own[2]));
    const made = make("a", "", "How it was made");
    made.href = "provenance.html#" + ["results", "rollouts", rollout.condition.path, "seed" + rollout.seed]
      .join("-").replaceAll("/", "-");
    node.append(made);
    return node;
  }

  function judgeReply([, , reason, replies]) {
    const parts = reason ? [make("p", "source", reason)] : [];
    for (const [key, text] of replies) {
      parts.push(make("p", "source", "Stored reply " + key));
      parts.push(make("p", "trace", text || "not in this copy of data/replies"));
    }
    return details("Judge's reply", ...parts);
  }

  // The same problem elsewhere, one response a column; it is in the same shard.
  function beside(title, rollout, fits) {
    const node = details(title);
    node.addEventListener("toggle", async () => {
      if (!node.open || node.children.length > 1) return;
      const place = problemOf[rollout.row];
      const own = index.cells[cells[rollout.row]];
      const rows = [], held = new Set();
      for (let row = firstRow[place]; row < firstRow[place] + index.problems[place][1]; row += 1) {
        const cell = index.cells[cells[row]];
        const kind = title === "Other steps" ? cell[2] : cell[0];
        if (fits(cell, own) && !held.has(kind)) { held.add(kind); rows.push(row); }
      }
      const strip = make("div", "strip");
      strip.tabIndex = 0;
      strip.setAttribute("role", "region");
      strip.setAttribute("aria-label", title);
      for (const row of rows) strip.append(column(await load(row), rollout));
      node.append(strip);
    });
    return node;
  }

  function column(other, rollout) {
    const node = make("section", other.row === rollout.row ? "own" : "");
    node.append(make("h3", "", `${other.condition.name}, seed ${other.seed}, step ${other.step}`));
    node.append(make("span", "outcome" + (other.reason === "correct" ? " good" : ""), other.reason));
    node.append(traceText(other.text, other.oracle[1]));
    return node;
  }

  const wanted = () => Object.fromEntries(fields.map((name) => [name, form.elements[name]?.value.trim() ?? ""]));

  async function show() {
    const mine = turn += 1;
    const last = Math.min(first + PAGE, found.length);
    const loaded = await Promise.all(found.slice(first, last).map(load));
    if (mine !== turn) return;
    const byJudge = wanted().rater === "judge";
    list.replaceChildren(...loaded.map((rollout) => card(rollout, byJudge)));
    const number = (value) => value.toLocaleString("en");
    counter.textContent = found.length
      ? `Rollouts ${number(first + 1)}\u2013${number(last)} of ${number(found.length)}`
      : "No rollout matches these filters.";
    for (const pager of pagers) {
      pager.hidden = found.length <= PAGE;
      pager.querySelector("[data-go='-1']").disabled = first === 0;
      pager.querySelector("[data-go='1']").disabled = last >= found.length;
    }
  }

  function update() {
    found = search(wanted());
    first = 0;
    show();
  }

  function readHash() {
    if (!index) return;
    const hash = new URLSearchParams(location.hash.slice(1));
    for (const name of fields) if (form.elements[name]) form.elements[name].value = hash.get(name) ?? "";
    update();
  }

  form.addEventListener("input", () => {
    if (!index) return;
    const set = Object.entries(wanted()).filter(([, value]) => value);
    history.replaceState(null, "", "#" + new URLSearchParams(set));
    update();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    history.replaceState(null, "", "#");
    setTimeout(update);
  });
  for (const pager of pagers) {
    pager.addEventListener("click", (event) => {
      const step = Number(event.target.dataset.go);
      if (!step) return;
      first += step * PAGE;
      show();
      form.scrollIntoView();
    });
  }
  window.addEventListener("hashchange", readHash);
  setTimeout(() => script("index.js"));
})();
