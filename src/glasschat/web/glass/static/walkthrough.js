// How it works: one step of generation, from words to the drawn token, with this very reply.

import { button, el } from "./dom.js";
import { drawBar } from "./draw_bar.js";
import { visible } from "./text.js";
import { UNKNOWN } from "./waterfall.js";

const FEW = 5;
const TAIL = 14;

export function mount(box, pane) {
  const word = (name, values = {}) => Object.entries(values).reduce(
    (text, [key, value]) => text.replaceAll(`{${key}}`, value), box.word(name));
  const { format, reply } = box;
  const story = el("div", { class: "walk" });
  const back = button(`‹ ${word("walk_back")}`, () => box.select(Math.max(0, at() - 1)), { class: "do" });
  const on = button(`${word("walk_on")} ›`, () => next(), { class: "do" });
  const where = el("span", { class: "soft" });
  pane.append(el("p", { class: "soft" }, word("walk_help")), el("div", { class: "row actions" }, back, where, on), story);

  const at = () => Math.min(box.place ?? 0, Math.max(0, reply.count - 1));
  // At the end of a paused reply the next step is made by the model, live.
  const next = async () => {
    if (at() < reply.count - 1) { box.select(at() + 1); return; }
    if (reply.state !== "paused") return;
    try {
      await box.post("debugger-signal", { action: "step", count: 1 });
      const count = reply.count;
      const done = reply.watch(() => { if (reply.count > count) { done(); box.select(reply.count - 1); } });
      reply.pollNow();
    } catch (error) {
      story.prepend(el("p", { class: "trouble" }, error.message));
    }
  };

  const pieces = (tokens) => el("p", { class: "pieces" }, ...tokens.map(([id, token]) => el(
    "span", { class: "piece" }, el("code", {}, visible(token)), el("small", {}, id))));

  const list = (column, rows) => el("table", { class: "small" }, el("tbody", {}, ...rows.map((row) => {
    const value = row.cells[column];
    const cell = value === UNKNOWN ? null : value;
    return el("tr", { class: row.chosen ? "chosen" : "" },
      el("th", { scope: "row" }, el("code", {}, visible(row.token))),
      el("td", {}, cell ? format.score(cell[0]) : value === UNKNOWN ? "?" : "✕"),
      el("td", { class: "wide" }, cell ? el("span", { class: "bar", style: { width: `${100 * cell[2]}%` } }) : "",
        el("span", {}, cell ? format.share(cell[2]) : (row.removed_by ?? ""))));
  })));

  const section = (number, title, ...parts) => el("section", {}, el("h3", {}, el("span", { class: "step" }, number), title), ...parts);
  const paragraph = (text) => el("p", {}, text);

  const stage = (found, number) => {
    const column = found.columns[number];
    const value = column.value === null ? "" : ` ${column.value}`;
    return el("div", { class: "lesson" }, el("strong", {}, `${column.name}${value}`), paragraph(column.lesson[0]),
      column.lesson[1] ? el("code", { class: "formula" }, column.lesson[1]) : "",
      el("p", { class: "soft" }, column.kept === null ? word("unknown")
        : word("walk_left", { n: format.count(column.kept), share: format.share(column.mass) })));
  };

  const draw = (found, prompt) => {
    if (found.remote) {
      story.replaceChildren(...found.story.map(paragraph));
      return;
    }
    const numbers = found.columns.map((_, number) => number).slice(1);
    const kind = (name) => numbers.filter((number) => found.columns[number].kind === name);
    const stages = (name) => {
      const those = kind(name);
      if (!those.length) return [paragraph(word("walk_none"))];
      return those.map((number) => stage(found, number));
    };
    const rows = found.candidates.slice(0, FEW);
    if (!rows.some((row) => row.chosen)) rows.push(...found.candidates.filter((row) => row.chosen));
    const users = prompt.spans.filter(([, , origin]) => origin === "user").at(-1);
    const question = users ? prompt.tokens.slice(users[0], users[1]).map((name) => (Array.isArray(name) ? "\ufffd" : name)).join("") : "";
    const tail = (tokens) => tokens.slice(-TAIL);
    story.replaceChildren(
      section(1, word("walk_1"), paragraph(word("walk_1_says", { n: format.count(prompt.ids.length) })),
        question ? el("blockquote", {}, question.length > 300 ? `${question.slice(0, 300)}…` : question) : "",
        pieces(tail(found.before.prompt))),
      section(2, word("walk_2"), paragraph(word("walk_2_says", { n: format.count(found.length) })), pieces(tail(found.before.reply))),
      section(3, word("walk_3"), paragraph(word("walk_3_says", { n: format.count(found.columns[0].kept) })), list(0, rows)),
      section(4, word("walk_4"), paragraph(word("walk_4_says")), ...stages("processor")),
      section(5, word("walk_5"), paragraph(word("walk_5_says")), ...stages("warper")),
      section(6, word("walk_6"), paragraph(found.story.at(-1)), list(found.columns.length - 1, rows), drawBar(box, found)),
      section(7, word("walk_7"), paragraph(word("walk_7_says")), pieces([...tail(found.before.reply), [found.id, found.token]])));
  };

  let prompt = null;
  const show = async () => {
    where.textContent = reply.count ? word("number", { n: format.count(at() + 1) }) : "";
    back.disabled = at() === 0;
    on.disabled = at() >= reply.count - 1 && reply.state !== "paused";
    if (!reply.count) { story.replaceChildren(el("p", { class: "hint" }, word("nothing_recorded"))); return; }
    try {
      prompt ??= await box.get("prompt");
      draw(await box.get("waterfall", { place: at() }), prompt);
    } catch (error) {
      story.replaceChildren(el("p", { class: "trouble" }, error.message));
    }
  };
  box.onSelect(() => { if (!pane.hidden) show(); });
  box.onOpen("walkthrough", show);
  let shown = false;
  reply.watch(() => {
    if (!shown || !reply.growing || reply.state === "paused") { shown = reply.count > 0; show(); }
  });
}
