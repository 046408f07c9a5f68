// A table or figure that is wider than the screen scrolls inside its frame: let the keyboard reach it.
const reach = () => {
  for (const frame of document.querySelectorAll(".pst-scrollable-table-container, .figure-frame")) {
    const scrolls = frame.scrollWidth > frame.clientWidth;
    if (scrolls) {
      const caption = (frame.closest("figure") ?? frame).querySelector(".caption-number");
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

// The frame in which a figure scrolls on a phone; its caption stays outside and does not scroll.
const frameFigures = () => {
  for (const drawing of document.querySelectorAll(".bd-article figure .drawing")) {
    const frame = document.createElement("div");
    frame.className = "figure-frame";
    drawing.replaceWith(frame);
    frame.append(drawing);
  }
};

window.addEventListener("load", () => {
  frameFigures();
  reach();
});
window.addEventListener("resize", reach);

// On paper a folded table stands open.
window.addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll(".bd-article details.sd-dropdown")) {
    folded.open = true;
  }
});
// A table that was folded has no width until it is opened.
document.addEventListener("toggle", reach, true);
