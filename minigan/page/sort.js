"use strict";
// Sorts the rows of a .sortable table by the column whose heading is clicked: numbers by data-value, smallest first, and
// text by the alphabet. A second click turns the order around. Cells without a value stay last.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".sortable")) {
    const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0];

    function sort(column) {
      const down = headings[column].ariaSort === "ascending" ? -1 : 1;
      const value = (row) => {
        const cell = row.cells[column], text = cell.textContent.trim();
        return cell.dataset.value !== undefined ? +cell.dataset.value : text;
      };
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return down * (typeof x === "number" && typeof y === "number" ? x - y : `${x}`.localeCompare(`${y}`, "en", { numeric: true }));
      };
      body.append(...[...body.rows].sort(compare));
      for (const heading of headings) heading.ariaSort = null;
      headings[column].ariaSort = down > 0 ? "ascending" : "descending";
    }

    headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => sort(column)));
  }
});
