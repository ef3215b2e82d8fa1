// The debugger: pause, step, run to a breakpoint, choose the next token by hand.

import { button, el } from "./dom.js";
import { WaterfallView } from "./waterfall.js";

const REFRESH_MS = 250;
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
  const points = new Breakpoints(box, () => { if (reply.growing) send({ action: "break" }); });
  const signalButton = (name, extra = () => ({})) => button(word(`debug_${name}`), () => send({ action: name, ...extra() }), { class: "do" });
  const buttons = {
    pause: signalButton("pause"),
    step: button(word("debug_step"), () => send({ action: "step", count: 1 }), { class: "do" }),
    steps: button(word("debug_steps"), () => send({ action: "step", count: Number(count.value) || 1 }), { class: "do" }),
    resume: button(word("debug_resume"), () => send({ action: "resume" }), { class: "do" }),
    run: button(word("debug_run"), () => send({ action: "resume", breakpoints: [] }), { class: "do" }),
    cancel: signalButton("cancel"),
  };
  const again = button(word("again_paused"), () => box.send("again", { breakpoints: points.list() }), { class: "do" });
  const pauseNext = el("input", { type: "checkbox" });
  pauseNext.checked = Boolean(box.data.paused);
  pauseNext.onchange = () => box.send("begin", { paused: pauseNext.checked, breakpoints: points.list() });
  const controls = el("div", { class: "row actions" },
    buttons.pause, buttons.step, count, buttons.steps, buttons.resume, buttons.run, buttons.cancel);
  const before = el("div", { class: "row actions" }, again,
    el("label", { class: "control" }, pauseNext, el("span", {}, word("next_paused"))));
  const coming = el("section", { class: "coming" });
  const waterfall = new WaterfallView(box);
  waterfall.take = (token) => send({ action: "force", token });
  waterfall.isPreview = true;
  coming.append(waterfall.root);
  pane.append(el("p", { class: "soft" }, word("debug_help")), controls, before, points.root, status, trouble, coming);

  // One after another: a signal is not lost because the one before is still on its way.
  let waiting = 0;
  let last = Promise.resolve();
  const send = (signal) => {
    const body = signal.breakpoints ? signal : { ...signal, breakpoints: points.list() };
    waiting += 1;
    last = last.then(async () => {
      try {
        show(await box.post("debugger-signal", body));
        trouble.hidden = true;
      } catch (error) {
        trouble.textContent = error.message;
        trouble.hidden = false;
      }
      waiting -= 1;
      reply.pollNow();
    });
  };

  let shown = "";
  const show = (found) => {
    const state = found.state;
    const paused = state === "paused";
    const over = state === "finished";
    status.textContent = found.pause_reason ?? word(over ? "debug_over" : `state_${state}`);
    buttons.pause.disabled = paused || over;
    for (const name of ["step", "steps", "resume", "run"]) buttons[name].disabled = !paused;
    buttons.cancel.disabled = over;
    again.disabled = !over || !box.data.can_branch;
    coming.hidden = !found.preview;
    if (!found.preview) { shown = ""; return; }
    const now = `${found.preview.place} ${found.preview.u}`;
    if (now === shown) return;
    shown = now;
    waterfall.draw(found.preview);
  };

  const refresh = async () => {
    if (waiting || pane.hidden || !reply.growing) return;
    try { show(await box.get("debugger-state")); } catch { /* the panel's head says what is wrong */ }
  };
  const timer = setInterval(refresh, REFRESH_MS);
  box.onClose(() => clearInterval(timer));
  const showEnded = () => show({ state: "finished", pause_reason: null, preview: null });
  reply.watch(() => { if (reply.growing) refresh(); else showEnded(); });
  box.onUpdate(() => { if (!reply.growing) showEnded(); });
}

class Breakpoints {
  constructor(box, change) {
    this._box = box;
    this._change = change;
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

  _add(kind, value, silent = false) {
    const made = KINDS[kind];
    const input = made && el("input", {
      type: kind === "text" ? "text" : "number", value: value ?? made.value, ...(kind === "text" ? { maxlength: 200 } : made),
      "aria-label": this._box.word(`point_${kind}`),
    });
    if (input && value !== undefined) input.value = value;
    const row = el("div", { class: "point" }, el("span", {}, this._box.word(`point_${kind}`)), input,
      button("×", () => { row.remove(); this._change(); }, { class: "plain", "aria-label": this._box.word("remove") }));
    row.kind = kind;
    if (input) input.onchange = () => this._change();
    this._rows.append(row);
    if (!silent) { input?.focus(); this._change(); }
  }
}
