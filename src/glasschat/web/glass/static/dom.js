// Elements made by hand. Texts are only ever set as text: nothing of a model's becomes markup.

export function el(name, props = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") made.className = value;
    else if (key === "style") Object.assign(made.style, value);
    else if (key.startsWith("on")) made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return made;
}

export function button(label, click, props = {}) {
  return el("button", { type: "button", onclick: click, ...props }, label);
}

// One of several, as buttons in a row that arrow keys move between.
export function choice(options, chosen, name, pick) {
  const group = el("div", { class: "choice", role: "radiogroup", "aria-label": name });
  const buttons = options.map(([value, label]) => {
    const made = button(label, () => choose(value), { role: "radio" });
    made.value = value;
    return made;
  });
  const show = (value) => {
    for (const made of buttons) {
      made.setAttribute("aria-checked", String(made.value === value));
      made.tabIndex = made.value === value ? 0 : -1;
    }
  };
  const choose = (value) => { show(value); pick(value); };
  group.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = buttons.findIndex((made) => made.tabIndex === 0);
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    choose(next.value);
  };
  show(chosen);
  group.append(...buttons);
  return group;
}
