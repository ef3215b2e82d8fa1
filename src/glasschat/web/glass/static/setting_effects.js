// What each setting did in this reply: in a sentence first, then in numbers.

import { button, el } from "./dom.js";

const FEW = 12;

export function mount(box, pane) {
  const word = (name) => box.word(name);
  const { format } = box;
  const list = el("div", { class: "effects" });
  pane.append(el("p", { class: "soft" }, word("effects_help")), list);

  const draw = ({ setting_effects: effects, why }) => {
    if (!effects.length) {
      list.replaceChildren(el("p", { class: "hint" }, why ?? word("no_effects")));
      return;
    }
    const head = ["setting", "sets", "distributions", "choices", "open"];
    const rows = effects.map((effect) => el("tr", { class: effect.choices ? "did" : "" },
      el("th", { scope: "row" }, effect.label),
      ...["sets", "distributions", "choices", "open"].map((name) => el("td", {}, format.count(effect[name])))));
    const sentences = effects.map((effect) => el("li", { class: effect.choices ? "did" : "" },
      `${effect.sentence} `, ...effect.places.slice(0, FEW).map((place) => button(
        format.count(place + 1), () => { box.open("tokens"); box.select(place); }, { class: "link place" })),
      effect.places.length > FEW ? " …" : ""));
    list.replaceChildren(
      el("ul", { class: "story" }, ...sentences),
      el("div", { class: "table" }, el("table", {},
        el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col", title: word(`effect_${name}_help`) }, word(`effect_${name}`))))),
        el("tbody", {}, ...rows))));
  };

  const load = async () => {
    try { draw(await box.get("setting-effects")); } catch (error) {
      list.replaceChildren(el("p", { class: "trouble" }, error.message));
    }
  };
  let loaded = false;
  box.reply.watch(() => {
    if (loaded && box.reply.growing) return;
    loaded = true;
    load();
  });
}
