"use strict";

const SHOWN = 5; // answers
const PLACES = 20; // that are marked where all are asked for
const LONGEST_LINK = 30_000; // characters; mail and chat programs cut longer ones

const EXAMPLE = {
  question: "Who named the river?",
  context:
    "The Amazon carries more water than any other river: some 209,000 cubic metres a second. The Spanish explorer " +
    "Francisco de Orellana, who travelled its whole length in 1541 and 1542, named it after the warriors of Greek " +
    "myth. Its farthest source was long thought to be the Marañón, in the Andes of Peru.",
};

const PLAIN = {
  408: "That took too long. Try a shorter text, or try again in a moment.",
  413: "This is more text than the service takes at once. Try a part of it.",
  500: "The model failed on this text. Try another, or tell whoever runs the service.",
  503: "Many are asking just now. Try again in a moment.",
};

const byId = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const nameOf = (answer) => answer.answer || "No answer in this text";

let asking = null; // what stops the request that runs

// --- showing ---

// Offsets of the service count code points; strings here are of UTF-16 units.
function showText(characters, answers, chosen) {
  const parts = [];
  let from = 0;
  for (const answer of answers.filter(({ start, end }) => start < end)) {
    const mark = document.createElement("mark");
    mark.textContent = characters.slice(answer.start, answer.end).join("");
    mark.classList.toggle("chosen", answer === chosen);
    parts.push(characters.slice(from, answer.start).join(""), mark);
    from = answer.end;
  }
  byId("text").replaceChildren(...parts, characters.slice(from).join(""));
  byId("text").querySelector(".chosen")?.scrollIntoView({ block: "center" });
}

// With one answer per place, the percentage is the place's: wordings that overlap the best one are part of it.
const shareOf = (answer, disjoint) => percent(disjoint ? answer.place_score : answer.score);

function choose(characters, answers, chosen, { disjoint, everything }) {
  const best = answers[chosen];
  byId("answer").textContent = nameOf(best);
  byId("share").textContent = shareOf(best, disjoint);
  const alone = percent(best.score) === percent(best.place_score) ? "" : percent(disjoint ? best.score : best.place_score);
  byId("wording").textContent = alone && (disjoint ? `These very words: ${alone}` : `This place: ${alone}`);
  for (const [at, button] of byId("answers").querySelectorAll("button").entries()) {
    button.setAttribute("aria-pressed", String(at === chosen));
  }
  showText(characters, everything ? answers : [best], best);
}

function showAnswers(context, answers, view) {
  const characters = Array.from(context);
  byId("answers").replaceChildren(
    ...answers.map((answer, at) => {
      const button = document.createElement("button");
      const item = document.createElement("li");
      button.type = "button";
      button.dir = "auto";
      button.textContent = `${nameOf(answer)} · ${shareOf(answer, view.disjoint)}`;
      button.addEventListener("click", () => choose(characters, answers, at, view));
      item.append(button);
      return item;
    }),
  );
  byId("result").hidden = false;
  choose(characters, answers, 0, view);
}

// All places that answer, in the order of the text; what is left of the surest one is how sure it is that there is none.
function answersOf(places) {
  const surest = Math.max(0, ...places.map(({ score }) => score));
  const none = { answer: "", start: 0, end: 0, score: 1 - surest, place_score: 1 - surest };
  const found = places.map(({ text, start, end, score }) => ({ answer: text, start, end, score, place_score: score }));
  return found.length ? found : [none];
}

function showDoubts({ unknown_tokens: unknown, warnings }) {
  const share = percent(Math.max(unknown.questions, unknown.contexts));
  const words = {
    unknown_tokens: `The model does not know ${share} of these signs or words. It was made for another language: do not trust its answer.`,
    question_cut: "The question is too long: its end was not read.",
  };
  byId("doubts").textContent = warnings.map(({ kind, detail }) => words[kind] ?? detail).join(" ");
}

function say(text, kind = "") {
  byId("status").className = kind;
  byId("status").textContent = text;
}

function setBusy(busy) {
  byId("form").setAttribute("aria-busy", String(busy));
  byId("ask").textContent = busy ? "Stop" : "Ask";
  if (busy) say("Reading …", "busy");
}

// --- asking ---

async function plainError(response) {
  if (PLAIN[response.status]) return PLAIN[response.status];
  const body = await response.json().catch(() => ({}));
  return body.detail ? `The service says: ${body.detail}.` : `The service answered with an error (${response.status}).`;
}

async function answersTo(question, context, { disjoint, everything }, signal) {
  const body = JSON.stringify(
    everything
      ? { question, documents: [context], top_k: PLACES }
      : { question, context, top_k: SHOWN, no_answer: byId("no-answer").checked, overlap: disjoint ? 0 : 1 },
  );
  const route = everything ? "evidence" : "answer";
  let response;
  try {
    response = await fetch(route, { method: "POST", headers: { "content-type": "application/json" }, body, signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error("The service does not answer. Is it still running?");
  }
  if (!response.ok) throw new Error(await plainError(response));
  return response.json();
}

function missing(question, context) {
  if (!context.trim()) return ["context", "Paste a text first, or press Example."];
  if (!question.trim()) return ["question", "Type a question first."];
  return null;
}

async function ask() {
  const context = byId("context").value;
  const question = byId("question").value;
  const lack = missing(question, context);
  if (lack) {
    say(lack[1], "error");
    byId(lack[0]).focus();
    return;
  }
  const mine = new AbortController();
  const everything = byId("everything").checked;
  const view = { everything, disjoint: everything || byId("disjoint").checked };
  asking = mine;
  setBusy(true);
  try {
    const found = await answersTo(question, context, view, mine.signal);
    say("");
    showLink(question, context);
    showDoubts(found);
    showAnswers(context, everything ? answersOf(found.results[0]) : found.results[0], view);
  } catch (error) {
    if (asking !== mine) return;
    byId("result").hidden = true;
    if (error.name === "AbortError") say("Stopped.");
    else say(error.message, "error");
  } finally {
    if (asking === mine) {
      asking = null;
      setBusy(false);
    }
  }
}

function clear() {
  asking?.abort();
  asking = null;
  setBusy(false);
  say("");
  byId("context").value = byId("question").value = "";
  byId("result").hidden = true;
  history.replaceState(null, "", location.pathname + location.search);
  byId("context").focus();
}

// --- links: text and question stand in the fragment, which browsers do not send ---

function showLink(question, context) {
  const fragment = `#${new URLSearchParams({ question, text: context })}`;
  const fits = fragment.length <= LONGEST_LINK;
  byId("link").hidden = !fits;
  if (!fits) return;
  byId("link").href = fragment;
  history.replaceState(null, "", fragment);
}

function followLink() {
  const said = new URLSearchParams(location.hash.slice(1));
  if (!said.get("text")) return;
  byId("context").value = said.get("text");
  byId("question").value = said.get("question") ?? "";
  if (byId("question").value) ask();
}

// --- the start ---

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (asking) asking.abort();
  else ask();
});
byId("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!asking) ask();
  }
});
byId("clear").addEventListener("click", clear);
byId("example").addEventListener("click", () => {
  byId("context").value = EXAMPLE.context;
  byId("question").value = EXAMPLE.question;
  byId("question").focus();
});
addEventListener("hashchange", followLink);
fetch("health")
  .then((response) => response.json())
  .then(({ model }) => {
    byId("model").textContent = model;
  })
  .catch(() => {
    byId("model").textContent = "unknown";
  });
followLink();
