"use strict";
(() => {
  // The list of programs: a head sorts, the form filters. Without scripts it is a plain table, wrong ones first.
  const list = document.getElementById("list");
  if (!list) return;
  const body = list.tBodies[0];
  const rows = [...body.rows];
  const field = (name) => document.getElementById(name);
  document.getElementById("filters").hidden = false;
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());

  function filter() {
    const text = field("text").value.toLowerCase();
    const most = Number(field("most").value) || Infinity;
    let count = 0;
    for (const row of rows) {
      const { family, outcomes, frames, flipped } = row.dataset;
      const fits =
        (!text || row.textContent.toLowerCase().includes(text)) &&
        (!field("family").value || family === field("family").value) &&
        (!field("outcome").value || outcomes.split(" ").includes(field("outcome").value)) &&
        Number(frames) <= most &&
        (!field("flipped").checked || flipped !== undefined);
      row.hidden = !fits;
      count += fits;
    }
    field("count").textContent = `${count} of ${rows.length} programs`;
  }

  function sort(button) {
    const column = Number(button.dataset.column);
    const head = button.closest("th");
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of list.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    const key = (row) => {
      const cell = row.cells[column];
      const text = cell.dataset.value ?? cell.textContent;
      return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
    };
    const order = (a, b) =>
      typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    body.append(...rows.sort((a, b) => way * order(key(a), key(b))));
  }

  for (const name of ["text", "family", "outcome", "most", "flipped"]) field(name).addEventListener("input", filter);
  for (const button of list.querySelectorAll("[data-column]")) button.addEventListener("click", () => sort(button));
  filter();
})();
