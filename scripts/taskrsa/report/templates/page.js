// Tables sort by a button in each head: up, then down. Rows without a value stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const isNumber = head.dataset.kind === "number";
      const key = (row) => row.cells[at].dataset.key ?? row.cells[at].textContent.trim();
      const keyed = [...table.tBodies[0].rows].map((row) => [key(row), row]);
      keyed.sort(([a], [b]) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = isNumber ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
        return down ? -order : order;
      });
      table.tBodies[0].append(...keyed.map(([, row]) => row));
    });
  });
}

// A box above long tables finds rows by what they say, those that are not shown among them.
for (const rows of document.querySelectorAll(".shown > .rows")) {
  const shown = rows.parentElement;
  const find = document.createElement("input");
  find.type = "search";
  find.className = "find";
  find.placeholder = "find";
  find.setAttribute("aria-label", `Find in ${shown.querySelector(".scroll").getAttribute("aria-label")}`);
  find.addEventListener("input", () => {
    const sought = find.value.trim().toLowerCase();
    shown.classList.toggle("found", sought !== "");
    for (const row of shown.querySelectorAll("tbody tr")) {
      row.hidden = !row.textContent.toLowerCase().includes(sought);
    }
  });
  shown.querySelector(".scroll").before(find);
}
