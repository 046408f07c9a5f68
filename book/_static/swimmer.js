// The swimmer plot: the history of the patient whose lane is pointed at, tapped, or reached by the arrow keys.
// The page carries the histories as JSON. The picture is untouched, and is all that there is without this script and
// in print. What a data file says is set as text, never as markup.
{
  const made = (tag, attributes = {}, text = "") => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  };

  const history = (lane, words) => {
    const moments = made("dl");
    for (const moment of lane.moments) {
      const what = made("dd", {}, moment.what);
      what.append(...moment.details.map((detail) => made("span", { class: "swimmer-detail" }, detail)));
      moments.append(made("dt", {}, moment.when), what);
    }
    return [
      made("p", { class: "swimmer-title" }, lane.summary),
      made("p", { class: "swimmer-unit" }, words.months),
      moments,
    ];
  };

  const option = (lane, id) => {
    const node = made("div", {
      id, class: "swimmer-lane", role: "option", "aria-selected": "false", "aria-label": lane.summary,
    });
    node.style.top = `${100 * lane.top}%`;
    node.style.height = `${100 * (lane.bottom - lane.top)}%`;
    return node;
  };

  // The lanes lie over the picture itself, wherever its frame has scrolled it.
  const cover = (list, image) => {
    const [picture, frame] = [image, image.parentElement].map((node) => node.getBoundingClientRect());
    list.style.left = `${picture.left - frame.left + image.parentElement.scrollLeft}px`;
    list.style.top = `${picture.top - frame.top}px`;
    list.style.width = `${picture.width}px`;
    list.style.height = `${picture.height}px`;
  };

  const enhance = (figure, image, { words, lanes }) => {
    const list = made("div", {
      class: "swimmer-lanes", role: "listbox", tabindex: "0",
      "aria-label": words.lanes, "aria-controls": `${figure.id}-panel`,
    });
    const options = lanes.map((lane, i) => option(lane, `${figure.id}-lane-${i + 1}`));
    const panel = made("section", { id: `${figure.id}-panel`, class: "swimmer-panel", "aria-label": words.panel });
    const buttons = made("div", { class: "swimmer-buttons" });
    const told = made("div", { "aria-live": "polite" });
    let chosen = -1;

    const choose = (index) => {
      chosen = index;
      options.forEach((node, i) => node.setAttribute("aria-selected", String(i === index)));
      if (index < 0) list.removeAttribute("aria-activedescendant");
      else list.setAttribute("aria-activedescendant", options[index].id);
      figure.classList.toggle("swimmer-chosen", index >= 0);
      buttons.hidden = index < 0;
      told.replaceChildren(...(index < 0 ? [made("p", { class: "swimmer-hint" }, words.hint)] : history(lanes[index], words)));
      panel.scrollTop = 0;
    };
    const reach = (index) => {
      choose(Math.max(0, Math.min(index, lanes.length - 1)));
      // The panel may stand over the lower lanes.
      options[chosen].style.scrollMarginBottom = `${panel.offsetHeight}px`;
      options[chosen].scrollIntoView({ block: "nearest", inline: "nearest" });
    };
    const close = () => {
      // The button that was pressed goes; who only points has no focus to lose.
      const focused = figure.contains(document.activeElement);
      choose(-1);
      if (focused) list.focus({ preventScroll: true });
    };
    const keys = {
      ArrowDown: () => reach(chosen + 1),
      ArrowUp: () => reach(chosen < 0 ? lanes.length - 1 : chosen - 1),
      Home: () => reach(0),
      End: () => reach(lanes.length - 1),
    };

    list.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && chosen >= 0 && figure.matches(":hover, :focus-within")) close();
    });
    // A page that scrolls under a resting pointer moves it by nothing, and a finger that scrolls is not pointing.
    list.addEventListener("pointermove", (event) => {
      const index = options.indexOf(event.target);
      const points = event.pointerType === "mouse" && (event.movementX || event.movementY);
      if (points && index >= 0 && index !== chosen) choose(index);
    });
    list.addEventListener("click", (event) => {
      const index = options.indexOf(event.target);
      if (index >= 0) choose(index);
    });
    for (const [name, act] of [["previous", () => reach(chosen - 1)], ["next", () => reach(chosen + 1)], ["close", close]]) {
      const button = made("button", { class: "swimmer-button", type: "button" }, words[name]);
      button.addEventListener("click", act);
      buttons.append(button);
    }

    list.append(...options);
    panel.append(buttons, told);
    const frame = image.parentElement;
    frame.classList.add("swimmer-frame");
    frame.append(list);
    (frame === figure ? list : frame).after(panel);
    // A picture that keeps its size moves when its frame grows.
    const watch = new ResizeObserver(() => cover(list, image));
    for (const node of [image, frame]) watch.observe(node);
    choose(-1);
  };

  // After the frames of book.js, which waits for the same event.
  window.addEventListener("load", () => {
    for (const data of document.querySelectorAll("script.figure-view")) {
      const figure = document.getElementById(data.dataset.figure);
      const image = figure?.querySelector(".drawing");
      if (image) enhance(figure, image, JSON.parse(data.textContent));
    }
  });
}
