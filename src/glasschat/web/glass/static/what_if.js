// Other settings for what was recorded: where the reply would have gone another way.

import { button, el } from "./dom.js";
import { running, visible } from "./text.js";
import { WaterfallView } from "./waterfall.js";

const PAUSE_MS = 120;

export async function mount(box, pane) {
  const word = (name) => box.word(name);
  const { reply } = box;
  pane.append(el("p", { class: "soft" }, word("what_if_help")));
  let current;
  try {
    current = await box.get("settings");
  } catch (error) {
    pane.append(el("p", { class: "trouble" }, error.message));
    return;
  }
  if (!current.settings.length) {
    pane.append(el("p", { class: "hint" }, current.why ?? word("nothing_recorded")));
    return;
  }
  const changes = {};
  const inputs = new Map();
  const grid = el("div", { class: "controls" });
  const story = el("ul", { class: "story", "aria-live": "polite" });
  const text = el("div", { class: "heat", dir: "auto" });
  const waterfall = new WaterfallView(box, "waterfall");
  waterfall.query = () => ({ changes: JSON.stringify(changes) });
  const branchButton = button(word("go_on_so"), () => branch(), { class: "do" });
  const resetButton = button(word("as_it_was"), () => reset(), { class: "link" });

  const put = (name, value, was) => {
    if (JSON.stringify(value) === JSON.stringify(was)) delete changes[name];
    else changes[name] = value;
    inputs.get(name)?.classList.toggle("changed", name in changes);
    askSoon();
  };

  for (const setting of current.settings) {
    const whole = Number.isInteger(setting.step) && Number.isInteger(setting.value);
    const input = el("input", {
      type: "number", min: setting.low, max: setting.high, step: setting.step, value: setting.value, title: setting.help,
    });
    input.oninput = () => {
      const value = whole ? parseInt(input.value, 10) : parseFloat(input.value);
      input.setAttribute("aria-invalid", String(!Number.isFinite(value)));
      if (Number.isFinite(value)) put(setting.name, value, setting.value);
    };
    const label = el("label", { class: "control" }, el("span", {}, setting.label), input);
    inputs.set(setting.name, label);
    grid.append(label);
  }
  const sample = el("input", { type: "checkbox" });
  sample.checked = current.do_sample;
  sample.onchange = () => put("do_sample", sample.checked, current.do_sample);
  const sampling = el("label", { class: "control" }, el("span", {}, word("sample")), sample);
  inputs.set("do_sample", sampling);
  grid.append(sampling);
  const order = new Order(box, current.stages, (stages) => put("stages", stages, current.stages));
  pane.append(
    grid, order.root, el("div", { class: "row actions" }, branchButton, resetButton), story, text, waterfall.root,
  );

  const reset = () => {
    for (const name of Object.keys(changes)) delete changes[name];
    for (const setting of current.settings) {
      inputs.get(setting.name).querySelector("input").value = setting.value;
    }
    sample.checked = current.do_sample;
    order.put(current.stages);
    inputs.forEach((label) => label.classList.remove("changed"));
    ask();
  };

  let answer = null;
  const branch = () => {
    const place = answer?.first ?? reply.count;
    box.send("branch", { place, changes: { ...changes } });
  };

  let timer = null;
  const askSoon = () => { clearTimeout(timer); timer = setTimeout(ask, PAUSE_MS); };
  let latest = 0;
  const ask = async () => {
    const number = latest += 1;
    try {
      const response = await box.get("what-if", { changes: JSON.stringify(changes) });
      if (number !== latest) return;
      answer = response;
      show();
    } catch (error) {
      if (number === latest) story.replaceChildren(el("li", { class: "trouble" }, error.message));
    }
  };

  const show = () => {
    story.replaceChildren(...answer.story.map((sentence) => el("li", {}, sentence)));
    const divergences = new Map(answer.places.map((item) => [item[0], item]));
    const open = new Set(answer.open);
    const parts = reply.tokens.map((token, place) => {
      const divergence = divergences.get(place);
      const classes = ["t"];
      if (place === answer.first) classes.push("l8", "first");
      else if (divergence) classes.push(answer.first !== null && place > answer.first ? "l3" : "l8");
      if (open.has(place)) classes.push("open");
      if (answer.ends_at !== null && place >= answer.ends_at) classes.push("gone");
      const span = el("span", { class: classes.join(" ") }, ...running(token));
      span.onclick = () => { box.select(place); waterfall.show(place, waterfall.query()); };
      if (divergence) {
        const [, instead, share, certain] = divergence;
        span.title = `${certain ? "" : "≈ "}${instead === null ? word("rest") : visible(instead)} ${box.format.share(share)}`;
      }
      return span;
    });
    text.replaceChildren(...parts);
    branchButton.disabled = !box.data.can_branch || !Object.keys(changes).length;
    parts[answer.first ?? -1]?.scrollIntoView({ block: "nearest" });
  };

  reply.watch(() => { if (!reply.growing || !answer) ask(); });
  box.onUpdate(() => { if (answer) show(); });
}

// The order of the stages, moved one place at a time: by mouse, finger and keys alike.
class Order {
  constructor(box, stages, change) {
    this._box = box;
    this._change = change;
    this._list = el("ol", { class: "order" });
    this.root = el("details", {}, el("summary", { class: "soft" }, box.word("order")), this._list);
    this.put(stages);
  }

  put(stages) {
    this._stages = [...stages];
    this._list.replaceChildren(...this._stages.map((name, at) => el("li", {},
      el("span", {}, name),
      this._mover(at, -1, "↑", "earlier"), this._mover(at, 1, "↓", "later"))));
  }

  _mover(at, step, sign, name) {
    const to = at + step;
    return button(sign, () => {
      const stages = [...this._stages];
      [stages[at], stages[to]] = [stages[to], stages[at]];
      this.put(stages);
      this._list.children[to].querySelectorAll("button")[step < 0 ? 0 : 1].focus();
      this._change(stages);
    }, {
      class: "plain", disabled: to < 0 || to >= this._stages.length,
      "aria-label": `${this._stages[at]}: ${this._box.word(name)}`, title: this._box.word(name),
    });
  }
}
