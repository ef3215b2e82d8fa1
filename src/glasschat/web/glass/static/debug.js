// The debugger: pause, step, run to a breakpoint, choose the next token by hand.

import { button, el } from "./dom.js";
import { Fall } from "./waterfall.js";

const LOOK_MS = 250;
const KINDS = {
  probability: { value: 0.1, step: 0.01, min: 0, max: 1 },
  entropy: { value: 3, step: 0.5, min: 0 },
  text: { value: "" },
  best: null,
};

export function mount(box, pane) {
  const word = (name) => box.word(name);
  const { reply } = box;
  const status = el("p", { class: "status", role: "status" });
  const trouble = el("p", { class: "trouble", hidden: true });
  const count = el("input", { type: "number", min: 1, max: 1000, step: 1, value: 10, "aria-label": word("steps") });
  const points = new Breakpoints(box, () => { if (reply.growing) tell({ action: "break" }); });
  const signal = (name, extra = () => ({})) => button(word(`debug_${name}`), () => tell({ action: name, ...extra() }), { class: "do" });
  const buttons = {
    pause: signal("pause"),
    step: button(word("debug_step"), () => tell({ action: "step", count: 1 }), { class: "do" }),
    steps: button(word("debug_steps"), () => tell({ action: "step", count: Number(count.value) || 1 }), { class: "do" }),
    resume: button(word("debug_resume"), () => tell({ action: "resume" }), { class: "do" }),
    run: button(word("debug_run"), () => tell({ action: "resume", breakpoints: [] }), { class: "do" }),
    cancel: signal("cancel"),
  };
  const again = button(word("again_paused"), () => box.send("again", { breakpoints: points.list() }), { class: "do" });
  const first = el("input", { type: "checkbox" });
  first.checked = Boolean(box.data.paused);
  first.onchange = () => box.send("begin", { paused: first.checked, breakpoints: points.list() });
  const controls = el("div", { class: "row actions" },
    buttons.pause, buttons.step, count, buttons.steps, buttons.resume, buttons.run, buttons.cancel);
  const before = el("div", { class: "row actions" }, again,
    el("label", { class: "knob" }, first, el("span", {}, word("next_paused"))));
  const coming = el("section", { class: "coming" });
  const fall = new Fall(box);
  fall.take = (token) => tell({ action: "force", token });
  fall.plain = true;
  coming.append(fall.root);
  pane.append(el("p", { class: "soft" }, word("debug_help")), controls, before, points.root, status, trouble, coming);

  // One after another: a signal is not lost because the one before is still on its way.
  let waiting = 0;
  let last = Promise.resolve();
  const tell = (asked) => {
    const body = asked.breakpoints ? asked : { ...asked, breakpoints: points.list() };
    waiting += 1;
    last = last.then(async () => {
      try {
        show(await box.tell("steer", body));
        trouble.hidden = true;
      } catch (error) {
        trouble.textContent = error.message;
        trouble.hidden = false;
      }
      waiting -= 1;
      reply.hurry();
    });
  };

  let seen = "";
  const show = (found) => {
    const state = found.state;
    const paused = state === "paused";
    const over = state === "finished";
    status.textContent = found.hit ?? word(over ? "debug_over" : `state_${state}`);
    buttons.pause.disabled = paused || over;
    for (const name of ["step", "steps", "resume", "run"]) buttons[name].disabled = !paused;
    buttons.cancel.disabled = over;
    again.disabled = !over || !box.data.can_branch;
    coming.hidden = !found.coming;
    if (!found.coming) { seen = ""; return; }
    const now = `${found.coming.place} ${found.coming.u}`;
    if (now === seen) return;
    seen = now;
    fall.draw(found.coming);
  };

  const look = async () => {
    if (waiting || pane.hidden || !reply.growing) return;
    try { show(await box.ask("standing")); } catch { /* the panel's head says what is wrong */ }
  };
  const timer = setInterval(look, LOOK_MS);
  box.onClose(() => clearInterval(timer));
  const over = () => show({ state: "finished", hit: null, coming: null });
  reply.watch(() => { if (reply.growing) look(); else over(); });
  box.onKnown(() => { if (!reply.growing) over(); });
}

class Breakpoints {
  constructor(box, tell) {
    this._box = box;
    this._tell = tell;
    this._rows = el("div", { class: "points" });
    const kinds = el("div", { class: "row actions" }, el("span", { class: "soft" }, box.word("pause_when")),
      ...Object.keys(KINDS).map((kind) => button(`+ ${box.word(`point_${kind}`)}`, () => this._add(kind), { class: "link" })));
    this.root = el("div", {}, kinds, this._rows);
    for (const point of box.data.breakpoints ?? []) this._add(point.kind, point.value, true);
  }

  list() {
    const found = [];
    for (const row of this._rows.children) {
      const input = row.querySelector("input");
      if (!input) found.push({ kind: row.kind });
      else if (input.type === "text" ? input.value : input.value !== "" && input.checkValidity()) {
        found.push({ kind: row.kind, value: input.type === "text" ? input.value : Number(input.value) });
      }
    }
    return found;
  }

  _add(kind, value, quietly = false) {
    const made = KINDS[kind];
    const input = made && el("input", {
      type: kind === "text" ? "text" : "number", value: value ?? made.value, ...(kind === "text" ? { maxlength: 200 } : made),
      "aria-label": this._box.word(`point_${kind}`),
    });
    if (input && value !== undefined) input.value = value;
    const row = el("div", { class: "point" }, el("span", {}, this._box.word(`point_${kind}`)), input,
      button("×", () => { row.remove(); this._tell(); }, { class: "plain", "aria-label": this._box.word("remove") }));
    row.kind = kind;
    if (input) input.onchange = () => this._tell();
    this._rows.append(row);
    if (!quietly) { input?.focus(); this._tell(); }
  }
}
