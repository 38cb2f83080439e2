"use strict";
// A click (or Enter, or Space) on a column's head sorts its table; a second one turns it round.
const value = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.order ?? cell.textContent.trim();
  if (text === "-inf") return -Infinity;
  return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
};
const compare = (a, b) => {
  if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a < b ? -1 : 1;
  return String(a).localeCompare(String(b), "en", { numeric: true });
};
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows];
    rows.sort((a, b) => {
      const order = compare(value(a, head.cellIndex), value(b, head.cellIndex));
      return down ? -order : order;
    });
    body.append(...rows);
  });
}
// Above the table of every test prompt: its task, and the method that is wrong.
for (const form of document.querySelectorAll("form.filters")) {
  const rows = [...form.nextElementSibling.querySelector("table").tBodies[0].rows];
  const [task, wrong, count] = form.elements;
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    for (const row of rows) {
      const asked = !task.value || row.cells[0].textContent === task.value;
      row.hidden = !asked || (wrong.value && !row.cells[wrong.value].classList.contains("bad"));
    }
    count.value = `${rows.filter((row) => !row.hidden).length} rows`;
  });
}
