// Replies to the same question side by side: asked at once with other settings, or written before.

import { button, el } from "./dom.js";
import { running, visible } from "./text.js";

const EVERY_MS = 400;

export function mount(box, pane) {
  const word = (name) => box.word(name);
  const { format } = box;
  const asking = el("div", { class: "asking" });
  const existing = el("div", { class: "row existing" });
  const trouble = el("p", { class: "trouble", hidden: true });
  const columns = el("div", { class: "columns" });
  const likelihoods = el("div", { class: "table" });
  pane.append(el("p", { class: "soft" }, word("compare_help")), asking, existing, trouble, columns, likelihoods);

  let known = null;
  let controls = [];
  let chosen = [];
  let timer = null;
  let closed = false;
  box.onClose(() => { closed = true; clearTimeout(timer); });

  const load = async () => {
    try {
      known = await box.get("siblings");
      if (!controls.length) controls = known.controls;
    } catch (error) { showError(error); return; }
    const compared = box.data.compared ?? [];
    const turns = known.replies.map((reply) => reply.turn);
    chosen = (compared.every((turn) => turns.includes(turn)) && compared.length > 1 ? compared : turns.slice(-known.most));
    if (!chosen.includes(known.here)) chosen = [known.here, ...chosen.slice(0, known.most - 1)];
    drawForm();
    drawExisting();
    refresh();
  };

  const showError = (error) => { trouble.textContent = error.message; trouble.hidden = false; };

  // --- new replies -----------------------------------------------------------------------
  const rows = [];
  const drawForm = () => {
    asking.replaceChildren();
    rows.length = 0;
    if (!box.data.can_ask) return;
    const list = el("div", { class: "requests" });
    const add = button(`+ ${word("compare_add")}`, () => addRow(list), { class: "link" });
    const go = button(word("compare_go"), () => box.send("compare", { settings: rows.map((row) => row.read()) }), { class: "do" });
    const refresh = () => { add.hidden = rows.length >= known.most; go.disabled = rows.length < 2; };
    const addRow = (holder, preset = 0) => {
      const row = new Row(box, controls, known, preset, rows.length, () => {
        rows.splice(rows.indexOf(row), 1);
        row.root.remove();
        refresh();
      });
      rows.push(row);
      holder.append(row.root);
      refresh();
    };
    asking.append(list, el("div", { class: "row actions" }, add, go));
    addRow(list, 0);
    // With several models their difference is asked for first, otherwise that of settings.
    if (known.models.length > 1) addRow(list, 0);
    else addRow(list, Math.min(known.presets.length - 1, known.presets.findIndex((preset) => preset.values.temperature === 0.2)));
  };

  // --- replies that exist already ---
  const drawExisting = () => {
    existing.replaceChildren();
    if (known.replies.length < 2) return;
    existing.append(el("span", { class: "soft" }, word("compare_there")), ...known.replies.map((reply, at) => {
      const input = el("input", { type: "checkbox" });
      input.checked = chosen.includes(reply.turn);
      input.onchange = () => {
        const next = known.replies.map((other) => other.turn).filter((turn) => (turn === reply.turn ? input.checked : chosen.includes(turn)));
        if (next.length > known.most) { input.checked = false; return; }
        chosen = next;
        refresh();
      };
      return el("label", { title: reply.start }, input, ` ${at + 1}`);
    }));
  };

  const refresh = async () => {
    clearTimeout(timer);
    if (closed) return;
    if (chosen.length < 2) { columns.replaceChildren(el("p", { class: "hint" }, word("compare_choose"))); likelihoods.replaceChildren(); return; }
    const selection = chosen.join();
    try {
      const found = await box.get("compare", { turns: selection });
      trouble.hidden = true;
      if (selection !== chosen.join() || closed) return;
      draw(found);
      if (found.growing || isScoring(found)) timer = setTimeout(refresh, EVERY_MS);
    } catch (error) { showError(error); }
  };

  const draw = (found) => {
    const names = found.replies.map(({ turn }) => known.replies.findIndex((reply) => reply.turn === turn) + 1);
    columns.style.gridTemplateColumns = `repeat(${found.replies.length}, minmax(12rem, 1fr))`;
    columns.replaceChildren(...found.replies.map((reply, number) => {
      const shared = new Set();
      for (const [start, end] of reply.same) for (let at = start; at < end; at += 1) shared.add(at);
      const body = el("div", { class: "heat", dir: "auto" }, ...reply.tokens.map((token, at) => {
        const classes = ["t"];
        if (number && !shared.has(at)) classes.push("l3");
        if (at === reply.diverges) classes.push("first");
        return el("span", { class: classes.join(" ") }, ...running(token));
      }));
      const diverges = reply.diverges === null ? word("compare_same") : word("compare_diverges")
        .replace("{n}", format.count(reply.diverges + 1)).replace("{token}", visible(reply.tokens[reply.diverges] ?? ""));
      const count = word(reply.tokens.length === 1 ? "token" : "tokens").replace("{n}", format.count(reply.tokens.length));
      const state = reply.state === "finished" ? "" : ` · ${word(`state_${reply.state}`)}`;
      return el("section", {},
        el("h3", {}, `${names[number]}`, el("span", { class: "soft" }, reply.settings)),
        el("p", { class: "soft" }, number === 0 ? word("compare_first") : diverges),
        body, reply.error ? el("p", { class: "trouble" }, reply.error) : "",
        el("p", { class: "soft" }, count + state),
        el("div", { class: "row actions" }, button(word("compare_keep"), () => box.send("select", { turn: reply.turn }), { class: "link" })));
    }));
    likelihoods.replaceChildren();
    if (!found.likelihoods) return;
    likelihoods.append(el("h3", {}, word("compare_likelihoods")), el("p", { class: "soft" }, word("compare_likelihoods_help")), table(found, names));
    if (cells(found).some((cell) => cell.progress === null)) {
      likelihoods.append(el("div", { class: "row actions" }, button(word("compare_read"), crossScore, { class: "do" })));
    }
    for (const why of new Set(cells(found).map((cell) => cell.why).filter(Boolean))) likelihoods.append(el("p", { class: "soft" }, `– ${why}`));
  };

  const cells = (found) => (found.likelihoods ?? []).flat();
  const isScoring = (found) => cells(found).some((cell) => typeof cell.progress === "number");

  const crossScore = async () => {
    try { await box.post("cross-score", { turns: chosen.join() }); } catch (error) { showError(error); return; }
    refresh();
  };

  const table = (found, names) => el("table", {},
    el("thead", {}, el("tr", {}, el("th", {}, ""), ...names.map((name) => el("th", { scope: "col" }, word("compare_under").replace("{n}", name))))),
    el("tbody", {}, ...found.likelihoods.map((row, at) => el("tr", {}, el("th", { scope: "row" }, word("compare_reply").replace("{n}", names[at])),
      ...row.map((cell) => el("td", {}, ...likelihoodCell(cell)))))));

  const likelihoodCell = (cell) => {
    if (typeof cell.progress === "number") return [word("compare_reading").replace("{share}", format.share(cell.progress))];
    if ((cell.bits ?? null) === null) return ["–"];
    const parts = [format.bits(cell.bits, word("bits_a_token"))];
    if (cell.impossible) parts.push(el("small", { class: "soft" }, ` ✕ ${format.count(cell.impossible)}`));
    if (cell.unknown) parts.push(el("small", { class: "soft" }, ` ? ${format.count(cell.unknown)}`));
    return parts;
  };

  load();
  box.onOpen("compare", load);
  box.onUpdate(() => { if (known) drawForm(); });
}

// One reply to ask for: a preset, and what is to be otherwise.
class Row {
  constructor(box, controls, { presets, models }, at, number, remove) {
    this._controls = controls;
    this._model = models.length > 1 ? el("select", { "aria-label": box.word("model") }, ...models.map(({ name, label }) => el("option", { value: name }, label))) : null;
    if (this._model) this._model.value = models[number % models.length].name;
    const choose = el("select", { "aria-label": box.word("preset") }, ...presets.map((preset, number) => el("option", { value: number }, preset.name)));
    this._inputs = new Map(controls.map((control) => [control.name, el("input", {
      type: "number", min: control.low, max: control.high, step: control.step, "aria-label": control.label,
    })]));
    const put = (number) => {
      this._values = { ...presets[number].values };
      for (const [name, input] of this._inputs) input.value = this._values[name];
    };
    choose.value = String(Math.max(0, at));
    choose.onchange = () => put(Number(choose.value));
    put(Math.max(0, at));
    this.root = el("div", { class: "row request-row" }, this._model ?? "", choose,
      ...controls.map((control) => el("label", { class: "control" }, el("span", {}, control.label), this._inputs.get(control.name))),
      button("×", remove, { class: "plain", "aria-label": box.word("remove") }));
  }

  read() {
    const values = { ...this._values };
    for (const control of this._controls) {
      const text = this._inputs.get(control.name).value;
      const value = Number.isInteger(control.step) && Number.isInteger(control.value) ? parseInt(text, 10) : parseFloat(text);
      if (Number.isFinite(value)) values[control.name] = value;
    }
    if (this._model) values.model = this._model.value;
    return values;
  }
}
