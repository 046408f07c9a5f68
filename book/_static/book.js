// A table that is wider than the screen scrolls inside its frame: let the keyboard reach it.
const reach = () => {
  for (const frame of document.querySelectorAll(".pst-scrollable-table-container")) {
    const scrolls = frame.scrollWidth > frame.clientWidth;
    if (scrolls) {
      const caption = frame.querySelector("caption .caption-number");
      frame.tabIndex = 0;
      frame.setAttribute("role", "region");
      frame.setAttribute("aria-label", `${caption ? caption.textContent.trim() : "Table"}, scrolls sideways`);
    } else {
      frame.removeAttribute("tabindex");
      frame.removeAttribute("role");
      frame.removeAttribute("aria-label");
    }
  }
};
window.addEventListener("load", reach);
window.addEventListener("resize", reach);
