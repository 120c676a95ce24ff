"use strict";
const search = document.getElementById("search");
const shown = document.getElementById("shown");
const told = document.getElementById("told");
const rows = [...document.querySelectorAll("ul.rows > li")];
const why = (row) => row.querySelector("p + p");
const texts = rows.map((row) => row.textContent.toLowerCase());

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  rows.forEach((row, place) => {
    row.hidden = !words.every((word) => texts[place].includes(word));
    count += row.hidden ? 0 : 1;
  });
  shown.textContent = words.length ? `${count} of ${rows.length} shown` : "";
}
search.addEventListener("input", filter);

function chainOf(row) {
  const list = document.createElement("ol");
  const seen = new Set();
  for (let here = row; here && !seen.has(here); ) {
    seen.add(here);
    const item = document.createElement("li");
    const name = here.querySelector("b").textContent;
    item.textContent = `${name}: ${why(here).textContent.replace(/ chain$/, "")}`;
    list.append(item);
    const link = why(here).querySelector("a");
    here = link && document.getElementById(link.hash.slice(1));
  }
  return list;
}

for (const link of document.querySelectorAll("#modules a")) {
  const button = document.createElement("button");
  button.textContent = "chain";
  button.setAttribute("aria-expanded", "false");
  link.parentElement.append(" ", button);
}

document.addEventListener("click", (event) => {
  const target = event.target;
  if (target.matches("#modules button")) {
    const row = target.closest("li");
    const list = row.querySelector("ol");
    if (list) list.remove();
    else row.append(chainOf(row));
    target.setAttribute("aria-expanded", String(!list));
  } else if (target.matches("#modules a")) {
    search.value = "";
    filter();
  }
});

document.querySelectorAll("svg.map").forEach((map) => {
  const tell = (event) => {
    const label = event.target.getAttribute("aria-label");
    if (label) told.textContent = label;
  };
  map.addEventListener("pointerover", tell);
  map.addEventListener("click", tell);
});
