"use strict";

const all = (selector) => [...document.querySelectorAll(selector)];
const articles = all("article");
const slice = document.getElementById("slice");
const words = document.getElementById("words");

function show() {
  const kinds = new Set(all("input[name=kind]:checked").map((box) => box.value));
  const wanted = words.value.trim().toLowerCase();
  let shown = 0;
  for (const article of articles) {
    const fits =
      kinds.has(article.dataset.kind) &&
      (slice.value === "" || article.dataset.slices.split("|").includes(slice.value)) &&
      article.textContent.toLowerCase().includes(wanted);
    article.hidden = !fits;
    shown += Number(fits);
  }
  document.getElementById("shown").textContent = `${shown} of ${articles.length} shown`;
}

for (const control of all(".filters input, .filters select")) control.addEventListener("input", show);
show();
