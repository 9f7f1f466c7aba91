"use strict";

const byId = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

// Offsets of the service count code points; strings here are of UTF-16 units.
function showText(characters, answer, isBest) {
  const mark = document.createElement("mark");
  mark.textContent = characters.slice(answer.start, answer.end).join("");
  mark.className = isBest ? "best" : "other";
  const parts = [characters.slice(0, answer.start).join("")];
  if (answer.answer) parts.push(mark);
  parts.push(characters.slice(answer.end).join(""));
  byId("text").replaceChildren(...parts);
  if (answer.answer) mark.scrollIntoView({ block: "nearest" });
}

const nameOf = (answer) => answer.answer || "no answer";

function alternative(characters, answers, at) {
  const button = document.createElement("button");
  const item = document.createElement("li");
  const show = () => showText(characters, answers[at], at === 0);
  const restore = () => showText(characters, answers[0], true);
  button.type = "button";
  button.textContent = `${nameOf(answers[at])} · ${percent(answers[at].score)}`;
  button.setAttribute("aria-pressed", String(at === 0));
  button.addEventListener("mouseenter", show);
  button.addEventListener("focus", show);
  button.addEventListener("mouseleave", restore);
  button.addEventListener("blur", restore);
  item.append(button);
  return item;
}

function showAnswers(context, answers) {
  const characters = Array.from(context);
  byId("best").textContent = answers[0].answer
    ? `${answers[0].answer} (${percent(answers[0].score)})`
    : `The text does not answer this (${percent(answers[0].score)}).`;
  byId("answers").replaceChildren(...answers.map((_, at) => alternative(characters, answers, at)));
  byId("result").hidden = false;
  showText(characters, answers[0], true);
}

async function answersTo(question, context) {
  const response = await fetch("/answer", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ question, context, top_k: 5, no_answer: byId("no-answer").checked }),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body.results[0];
}

async function ask(event) {
  event.preventDefault();
  const context = byId("context").value;
  byId("ask").disabled = true;
  byId("status").className = "";
  byId("status").textContent = "Reading …";
  try {
    showAnswers(context, await answersTo(byId("question").value, context));
    byId("status").textContent = "";
  } catch (error) {
    byId("result").hidden = true;
    byId("status").className = "error";
    byId("status").textContent = error.message;
  } finally {
    byId("ask").disabled = false;
  }
}

byId("form").addEventListener("submit", ask);
