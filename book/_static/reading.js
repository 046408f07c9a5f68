// What a reader can do with a page beyond reading it: take a table or figure away with its source, sort a table,
// find a sentence. Everything comes from the page itself: opened from disk, it may read nothing else.
{
  const made = (tag, attributes = {}, text = "") => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  };
  const lines = (node) => node.innerText.replace(/\s+/g, " ").trim();

  // --- taking away ----------------------------------------------------------------------------------------------

  const source = (caption) => {
    const title = document.querySelector("h1")?.firstChild ? lines(document.querySelector("h1")).replace(/#$/, "") : "";
    return `${caption}\nSource: ${document.title}. ${title}. ${location.href.split("#")[0]}`;
  };
  const save = (name, blob) => {
    const link = made("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  // Rows of cells; what a spreadsheet would take for a formula is text.
  const rows = (table) => [...table.rows].map((row) => [...row.cells].map(lines));
  const csv = (table) => {
    const cell = (text) => `"${(/^[=+@\t\r]|^-(?![\d.])/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
    return `\ufeff${rows(table).map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
  };
  // The drawing alone, in the colours in which it was made.
  const svg = (drawing) => {
    const copy = drawing.cloneNode(true);
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    return new XMLSerializer().serializeToString(copy).replace(/var\(--figure-\w+, (#\w+)\)/g, "$1");
  };
  const png = (drawing, name) => {
    const picture = new Image();
    picture.onload = () => {
      const { width, height } = drawing.viewBox.baseVal;
      const canvas = made("canvas", { width: Math.round(4 * width), height: Math.round(4 * height) });
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(`${name}.png`, blob));
    };
    picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg(drawing))}`;
  };
  const copy = (button, text) => {
    const area = made("textarea", { "aria-hidden": "true", style: "position: fixed; opacity: 0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy"); // the clipboard of a page opened from disk
    area.remove();
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
    button.focus();
  };
  const tools = (after, caption, actions) => {
    const bar = made("div", { class: "tools", role: "group", "aria-label": caption.split(/[.:]/)[0] });
    for (const [label, act] of actions) {
      const button = made("button", { type: "button" }, label);
      button.addEventListener("click", () => act(button));
      bar.append(button);
    }
    after.after(bar);
  };

  const forFigure = (figure) => {
    const drawing = figure.querySelector(".drawing");
    const caption = lines(figure.querySelector("figcaption")).replace(/#$/, "");
    const { name } = drawing.dataset;
    tools(figure, caption, [
      ["SVG", () => save(`${name}.svg`, new Blob([svg(drawing)], { type: "image/svg+xml" }))],
      ["PNG", () => png(drawing, name)],
      ["Copy with source", (button) => copy(button, source(caption))],
    ]);
  };

  const forTable = (table) => {
    const caption = lines(table.caption).replace(/#$/, "");
    const frame = table.closest(".pst-scrollable-table-container") ?? table;
    const notes = frame.nextElementSibling?.matches(".table-notes") ? frame.nextElementSibling : frame;
    tools(notes, caption, [
      ["CSV", () => save(`${table.id || "table"}.csv`, new Blob([csv(table)], { type: "text/csv" }))],
      ["Copy with source", (button) => {
        copy(button, `${rows(table).map((row) => row.join("\t")).join("\n")}\n${source(caption)}`);
      }],
    ]);
  };

  // --- sorting --------------------------------------------------------------------------------------------------

  const number = (text) => {
    const found = text.replaceAll(",", "").match(/^[<>≤≥]?\s*(-?\d+(?:\.\d+)?)/);
    return found ? Number(found[1]) : null;
  };
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return x - y;
    if (x === null && y === null) return a.localeCompare(b);
    return x === null ? 1 : -1; // what is not known stands last
  };
  const sortable = (table) => {
    const [head, body] = [table.tHead?.rows[0], table.tBodies[0]];
    if (!head || !body || body.rows.length < 3) return;
    // A row that goes on from the one above cannot stand anywhere else.
    if ([...body.rows].some((row) => row.cells.length !== head.cells.length || !lines(row.cells[0]))) return;
    const first = [...body.rows];
    for (const [column, cell] of [...head.cells].entries()) {
      const button = made("button", { type: "button", class: "sort" });
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" };
        const order = next[cell.getAttribute("aria-sort") ?? "none"];
        for (const other of head.cells) other.removeAttribute("aria-sort");
        if (order !== "none") cell.setAttribute("aria-sort", order);
        const sign = order === "descending" ? -1 : 1;
        const by = (a, b) => sign * compare(lines(a.cells[column]), lines(b.cells[column]));
        body.append(...(order === "none" ? first : [...first].sort(by)));
      });
    }
  };

  // --- names for a screen reader, and the search of a book opened from disk -----------------------------------------

  const nameFolds = () => {
    for (const fold of document.querySelectorAll("summary[aria-label='Toggle hidden content']")) fold.removeAttribute("aria-label");
    for (const button of document.querySelectorAll("button.copybtn")) button.setAttribute("aria-label", "Copy code");
    for (const button of document.querySelectorAll("button.toggle-button")) {
      const title = button.closest(".admonition")?.querySelector(".admonition-title");
      if (title) button.setAttribute("aria-label", lines(title));
    }
  };
  const readTexts = () => {
    const read = window.fetch;
    window.fetch = (address) => {
      const name = decodeURI(String(address)).replace(/^.*?((?:chapters|book)\/[^/]+)\.html$/, "$1");
      const text = window.bookTexts[name];
      if (text === undefined) return read(address);
      const page = made("div", { role: "main" }, text);
      return Promise.resolve(new Response(page.outerHTML));
    };
  };
  if (location.protocol === "file:" && window.bookTexts) readTexts();

  window.addEventListener("load", () => {
    for (const figure of document.querySelectorAll(".bd-article figure")) if (figure.querySelector(".drawing")) forFigure(figure);
    for (const table of document.querySelectorAll(".bd-article table.table")) if (table.caption) forTable(table);
    document.querySelectorAll(".bd-article table.table").forEach(sortable);
    nameFolds();
  });
}
