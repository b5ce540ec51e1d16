  // Tables sort by their headings, and those of some length can be filtered.
  const lines = (table) => [...table.tBodies].flatMap((part) => [...part.rows]);
  const value = (row, column, numeric) => {
    const text = row.cells[column].textContent.trim().replace(/\s+/g, " ");
    if (!numeric) return text;
    const found = text.match(/[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/i);
    return found ? parseFloat(found[0].replaceAll(",", "")) : NaN;
  };
  // Numbers begin with the largest, words with the first; a third click brings the order of the page back.
  const sort = (table, heading, order) => {
    const column = heading.cellIndex, numeric = heading.classList.contains("num"), first = numeric ? "descending" : "ascending";
    const next = { none: first, [first]: first === "ascending" ? "descending" : "ascending" }[heading.ariaSort] || "none";
    [...table.tHead.rows[0].cells].forEach((cell) => { if (cell.ariaSort) cell.ariaSort = cell === heading ? next : "none"; });
    const sign = next === "descending" ? -1 : 1;
    const known = order.map((row) => [value(row, column, numeric), row]);
    if (next !== "none") known.sort(([a], [b]) => {
      if (numeric) return Number.isNaN(a) - Number.isNaN(b) || sign * (a - b) || 0; // what is not known comes last
      return sign * a.localeCompare(b, root.lang, { numeric: true });
    });
    table.tBodies[0].append(...known.map(([, row]) => row));
  };
  const filter = (table, order) => {
    const field = Object.assign(document.createElement("input"), { type: "search" });
    const label = Object.assign(document.createElement("label"), { className: "find filter" });
    const count = Object.assign(document.createElement("span"), { className: "sub" });
    count.setAttribute("role", "status");
    label.append(say("Filter the rows"), " ", field);
    const line = Object.assign(document.createElement("p"), { className: "sift" });
    line.append(label, " ", count);
    table.closest(".scroll").before(line);
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      const seen = order.filter((row) => !(row.hidden = !row.textContent.toLowerCase().includes(wanted)));
      count.textContent = wanted ? say("{number} of {count}", { number: seen.length, count: order.length }) : "";
    });
  };
  $$(".scroll > table").forEach((table) => {
    const order = lines(table);
    if (!table.tHead || order.length < 2) return;
    [...table.tHead.rows[0].cells].filter((cell) => !cell.matches(".fixed-order")).forEach((cell) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "sort" });
      button.append(...cell.childNodes);
      button.addEventListener("click", () => sort(table, cell, order));
      cell.append(button);
      cell.ariaSort = "none";
    });
    if (order.length >= 6) filter(table, order);
  });
