(function () {
  "use strict";
  const holder = document.getElementById("rollout-data");
  if (!holder) return;
  const PAGE = 20;
  const data = JSON.parse(holder.textContent);
  const short = JSON.parse(document.getElementById("behavior-data").textContent);
  const form = document.getElementById("filters");
  const list = document.getElementById("rollouts");
  const counter = document.getElementById("shown");
  const pagers = document.querySelectorAll(".pager");
  const fields = ["condition", "seed", "step", "outcome", "behavior", "problem"];
  let first = 0;

  // All text enters the page through textContent: model text is never read as HTML.
  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function fill(name, values, label) {
    for (const value of values) {
      const option = make("option", "", label ? label(value) : value);
      option.value = value;
      form.elements[name].append(option);
    }
  }

  const unique = (key) => [...new Set(data.rollouts.map((r) => r[key]))].sort((a, b) => a - b);
  fill("condition", data.conditions);
  fill("seed", unique("seed"));
  fill("step", unique("step"));
  fill("outcome", data.reasons);
  fill("behavior", data.behaviors, (name) => "shows " + short[name].title);
  fill("behavior", ["none"], () => "shows none");

  function shows(rollout, behavior) {
    if (behavior === "none") return rollout.counts.every((count) => count === 0);
    return rollout.counts[data.behaviors.indexOf(behavior)] > 0;
  }

  function matches(rollout, wanted) {
    return (!wanted.condition || data.conditions[rollout.c] === wanted.condition)
      && (!wanted.seed || String(rollout.seed) === wanted.seed)
      && (!wanted.step || String(rollout.step) === wanted.step)
      && (!wanted.outcome || data.reasons[rollout.reason] === wanted.outcome)
      && (!wanted.behavior || shows(rollout, wanted.behavior))
      && (!wanted.problem || rollout.problem.includes(wanted.problem));
  }

  function traceText(pieces) {
    const text = make("p", "trace");
    for (const piece of pieces) {
      if (typeof piece === "string") { text.append(piece); continue; }
      const [words, over, ending] = piece;
      const names = over.map((place) => data.behaviors[place]);
      const mark = make("mark", "tint-" + names[0] + " line-" + names[names.length - 1], words);
      mark.title = names.map((name) => short[name].title).join(", ");
      if (ending.length) {
        mark.dataset.label = ending.map((place) => short[data.behaviors[place]].short).join(" + ");
        mark.classList.add("tag-" + data.behaviors[ending[0]]);
      }
      text.append(mark);
    }
    return text;
  }

  function fact(terms, term, value) {
    const pair = make("div");
    pair.append(make("dt", "", term), make("dd", "", value));
    terms.append(pair);
  }

  function card(rollout) {
    const node = make("li", "rollout");
    const head = make("div", "rollout-head");
    head.append(make("h2", "", rollout.numbers.join(", ") + " \u2192 " + rollout.target));
    const reason = data.reasons[rollout.reason];
    head.append(make("span", "outcome" + (reason === "correct" ? " good" : ""), reason));
    const terms = make("dl", "facts inline");
    fact(terms, "Condition", data.conditions[rollout.c]);
    fact(terms, "Seed", String(rollout.seed));
    fact(terms, "RL step", String(rollout.step));
    fact(terms, "Reward", String(rollout.reward));
    fact(terms, "Tokens", String(rollout.tokens));
    const rated = data.behaviors.flatMap((name, place) => {
      const count = rollout.counts[place];
      return count === null ? [short[name].title + " not rated"] : count ? [short[name].title + " " + count] : [];
    });
    fact(terms, "Behaviors", rated.join(", ") || "none");
    const more = make("details");
    more.append(make("summary", "", "Prompt"), make("p", "trace", data.prompts[rollout.prompt]));
    const same = make("a", "same", "Same problem elsewhere");
    same.href = "#" + new URLSearchParams({ problem: rollout.problem });
    const foot = make("div", "rollout-foot");
    foot.append(more, same);
    node.append(head, terms, traceText(rollout.text), foot);
    return node;
  }

  function wanted() {
    return Object.fromEntries(fields.map((name) => [name, form.elements[name].value.trim()]));
  }

  function show() {
    const filter = wanted();
    const found = data.rollouts.filter((rollout) => matches(rollout, filter));
    first = Math.min(first, Math.max(0, PAGE * (Math.ceil(found.length / PAGE) - 1)));
    const last = Math.min(first + PAGE, found.length);
    list.replaceChildren(...found.slice(first, last).map(card));
    counter.textContent = found.length
      ? `Rollouts ${(first + 1).toLocaleString("en")}\u2013${last.toLocaleString("en")} of ${found.length.toLocaleString("en")}`
      : "No rollout matches these filters.";
    for (const pager of pagers) {
      pager.hidden = found.length <= PAGE;
      pager.querySelector("[data-go='-1']").disabled = first === 0;
      pager.querySelector("[data-go='1']").disabled = last >= found.length;
    }
  }

  function readHash() {
    const hash = new URLSearchParams(location.hash.slice(1));
    for (const name of fields) form.elements[name].value = hash.get(name) ?? "";
    first = 0;
    show();
  }

  form.addEventListener("input", () => {
    const set = Object.entries(wanted()).filter(([, value]) => value);
    history.replaceState(null, "", "#" + new URLSearchParams(set));
    first = 0;
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    history.replaceState(null, "", "#");
    first = 0;
    setTimeout(show);
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
  readHash();
})();
