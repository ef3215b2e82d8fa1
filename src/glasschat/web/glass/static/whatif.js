// Other settings for what was recorded: where the reply would have gone another way.

import { button, el } from "./dom.js";
import { running, visible } from "./text.js";
import { Fall } from "./waterfall.js";

const PAUSE_MS = 120;

export async function mount(box, pane) {
  const word = (name) => box.word(name);
  const { reply } = box;
  pane.append(el("p", { class: "soft" }, word("whatif_help")));
  let known;
  try {
    known = await box.ask("settings");
  } catch (error) {
    pane.append(el("p", { class: "trouble" }, error.message));
    return;
  }
  if (!known.knobs.length) {
    pane.append(el("p", { class: "hint" }, known.why ?? word("nothing_recorded")));
    return;
  }
  const changes = {};
  const inputs = new Map();
  const grid = el("div", { class: "controls" });
  const story = el("ul", { class: "story", "aria-live": "polite" });
  const text = el("div", { class: "heat", dir: "auto" });
  const fall = new Fall(box, "waterfall");
  fall.asked = () => ({ changes: JSON.stringify(changes) });
  const on = button(word("go_on_so"), () => goOn(), { class: "do" });
  const back = button(word("as_it_was"), () => reset(), { class: "link" });

  const put = (name, value, was) => {
    if (JSON.stringify(value) === JSON.stringify(was)) delete changes[name];
    else changes[name] = value;
    inputs.get(name)?.classList.toggle("changed", name in changes);
    soon();
  };

  for (const knob of known.knobs) {
    const whole = Number.isInteger(knob.step) && Number.isInteger(knob.value);
    const input = el("input", {
      type: "number", min: knob.low, max: knob.high, step: knob.step, value: knob.value, title: knob.help,
    });
    input.oninput = () => {
      const value = whole ? parseInt(input.value, 10) : parseFloat(input.value);
      input.setAttribute("aria-invalid", String(!Number.isFinite(value)));
      if (Number.isFinite(value)) put(knob.name, value, knob.value);
    };
    const label = el("label", { class: "knob" }, el("span", {}, knob.label), input);
    inputs.set(knob.name, label);
    grid.append(label);
  }
  const sample = el("input", { type: "checkbox" });
  sample.checked = known.do_sample;
  sample.onchange = () => put("do_sample", sample.checked, known.do_sample);
  const sampling = el("label", { class: "knob" }, el("span", {}, word("sample")), sample);
  inputs.set("do_sample", sampling);
  grid.append(sampling);
  const order = new Order(box, known.stages, (stages) => put("stages", stages, known.stages));
  pane.append(
    grid, order.root, el("div", { class: "row actions" }, on, back), story, text, fall.root,
  );

  const reset = () => {
    for (const name of Object.keys(changes)) delete changes[name];
    for (const knob of known.knobs) {
      inputs.get(knob.name).querySelector("input").value = knob.value;
    }
    sample.checked = known.do_sample;
    order.put(known.stages);
    inputs.forEach((label) => label.classList.remove("changed"));
    ask();
  };

  let found = null;
  const goOn = () => {
    const place = found?.first ?? reply.count;
    box.send("branch", { place, changes: { ...changes } });
  };

  let timer = null;
  const soon = () => { clearTimeout(timer); timer = setTimeout(ask, PAUSE_MS); };
  let asked = 0;
  const ask = async () => {
    const number = asked += 1;
    try {
      const answer = await box.ask("what-if", { changes: JSON.stringify(changes) });
      if (number !== asked) return;
      found = answer;
      show();
    } catch (error) {
      if (number === asked) story.replaceChildren(el("li", { class: "trouble" }, error.message));
    }
  };

  const show = () => {
    story.replaceChildren(...found.story.map((said) => el("li", {}, said)));
    const others = new Map(found.places.map((item) => [item[0], item]));
    const open = new Set(found.open);
    const parts = reply.tokens.map((token, place) => {
      const other = others.get(place);
      const classes = ["t"];
      if (place === found.first) classes.push("l8", "first");
      else if (other) classes.push(found.first !== null && place > found.first ? "l3" : "l8");
      if (open.has(place)) classes.push("open");
      if (found.ends_at !== null && place >= found.ends_at) classes.push("gone");
      const span = el("span", { class: classes.join(" ") }, ...running(token));
      span.onclick = () => { box.select(place); fall.show(place, fall.asked()); };
      if (other) {
        const [, instead, share, sure] = other;
        span.title = `${sure ? "" : "≈ "}${instead === null ? word("rest") : visible(instead)} ${box.format.share(share)}`;
      }
      return span;
    });
    text.replaceChildren(...parts);
    on.disabled = !box.data.can_branch || !Object.keys(changes).length;
    parts[found.first ?? -1]?.scrollIntoView({ block: "nearest" });
  };

  reply.watch(() => { if (!reply.growing || !found) ask(); });
  box.onKnown(() => { if (found) show(); });
}

// The order of the stages, moved one place at a time: by mouse, finger and keys alike.
class Order {
  constructor(box, stages, tell) {
    this._box = box;
    this._tell = tell;
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
      this._tell(stages);
    }, {
      class: "plain", disabled: to < 0 || to >= this._stages.length,
      "aria-label": `${this._stages[at]}: ${this._box.word(name)}`, title: this._box.word(name),
    });
  }
}
