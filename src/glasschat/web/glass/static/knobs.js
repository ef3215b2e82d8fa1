// What each setting did in this reply: in a sentence first, then in numbers.

import { button, el } from "./dom.js";

const FEW = 12;

export function mount(box, pane) {
  const word = (name) => box.word(name);
  const { format } = box;
  const list = el("div", { class: "audit" });
  pane.append(el("p", { class: "soft" }, word("knobs_help")), list);

  const draw = ({ knobs, why }) => {
    if (!knobs.length) {
      list.replaceChildren(el("p", { class: "hint" }, why ?? word("no_knobs")));
      return;
    }
    const head = ["setting", "sets", "distributions", "choices", "open"];
    const rows = knobs.map((knob) => el("tr", { class: knob.choices ? "did" : "" },
      el("th", { scope: "row" }, knob.label),
      ...["sets", "distributions", "choices", "open"].map((name) => el("td", {}, format.count(knob[name])))));
    const sentences = knobs.map((knob) => el("li", { class: knob.choices ? "did" : "" },
      `${knob.said} `, ...knob.places.slice(0, FEW).map((place) => button(
        format.count(place + 1), () => { box.open("tokens"); box.select(place); }, { class: "link place" })),
      knob.places.length > FEW ? " …" : ""));
    list.replaceChildren(
      el("ul", { class: "story" }, ...sentences),
      el("div", { class: "table" }, el("table", {},
        el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col", title: word(`knob_${name}_help`) }, word(`knob_${name}`))))),
        el("tbody", {}, ...rows))));
  };

  const ask = async () => {
    try { draw(await box.ask("knobs")); } catch (error) {
      list.replaceChildren(el("p", { class: "trouble" }, error.message));
    }
  };
  let told = false;
  box.reply.watch(() => {
    if (told && box.reply.growing) return;
    told = true;
    ask();
  });
}
