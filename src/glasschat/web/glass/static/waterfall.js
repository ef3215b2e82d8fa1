// One token: its candidates down, the stages across, and the draw.

import { button, choice, el } from "./dom.js";
import { drawBar } from "./draw_bar.js";
import { visible } from "./text.js";

const FEW = 10;
const SCORE = 0, RANK = 1, PROBABILITY = 2, CUMULATIVE = 3, CERTAIN = 4;
// Stands for a cell of which nothing is known behind a custom stage.
export const UNKNOWN = "unknown";
const SHOWN = { probability: PROBABILITY, cumulative: CUMULATIVE, rank: RANK, score: SCORE };

export class WaterfallView {
  constructor(box, route = "waterfall") {
    this._box = box;
    this._route = route;
    this._shown = "probability";
    this._all = false;
    this.root = el("section", { class: "waterfall", "aria-live": "polite" });
  }

  hint() {
    if (!this.root.childElementCount) this.root.append(el("p", { class: "hint" }, this._box.word("click_a_token")));
  }

  async show(place, query = {}) {
    this._place = place;
    try {
      const found = await this._box.get(this._route, { place, ...query });
      if (this._place === place) this.draw(found);
    } catch (error) {
      this.root.replaceChildren(el("p", { class: "trouble" }, error.message));
    }
  }

  draw(found) {
    this._found = found;
    const { format } = this._box;
    const word = (name) => this._box.word(name);
    const title = el("h3", {},
      el("span", {}, word("number").replace("{n}", format.count(found.place + 1))),
      el("code", {}, visible(found.token)),
      el("span", { class: "soft" }, [
        found.id === null ? null : `id ${found.id}`, format.share(found.probability),
        found.rank === null ? null : `${word("rank")} ${format.count(found.rank + 1)}`,
      ].filter((part) => part !== null).join(" · ")));
    const story = el("ul", { class: "story" }, ...found.story.map((sentence) => el("li", {}, sentence)));
    const kinds = choice(
      Object.keys(SHOWN).map((name) => [name, word(name)]), this._shown, word("numbers"),
      (name) => { this._shown = name; this._table(); },
    );
    this._lesson = el("div", { class: "lesson", hidden: true });
    this._holder = el("div", { class: "table" });
    this._why = el("p", { class: "reading" }, "\u00a0");
    const parts = [title, story, el("div", { class: "row" }, kinds), this._holder, this._why, this._lesson];
    if (!found.exact) parts.push(el("p", { class: "soft" }, word("not_exact")));
    // Of another server's reply there is no more than this.
    if (!found.remote) parts.push(drawBar(this._box, found), this._actions(found), this._context(found.before));
    this.root.replaceChildren(...parts);
    this._table();
  }

  _table() {
    const found = this._found;
    const word = (name) => this._box.word(name);
    const head = el("tr", {}, el("th", { scope: "col" }, word("candidate")),
      ...found.columns.map((column) => this._head(column)), found.remote ? null : this._softmaxHead(found));
    const rows = this._all ? found.candidates : found.candidates.filter((row, at) => at < FEW || row.chosen);
    const body = el("tbody", {}, ...rows.map((row) => this._row(row)));
    const hidden = found.candidates.length - rows.length;
    const more = hidden > 0 || this._all
      ? button(
        this._all ? word("fewer") : word("all").replace("{n}", this._box.format.count(found.candidates.length)),
        () => { this._all = !this._all; this._table(); }, { class: "link" })
      : null;
    this._holder.replaceChildren(el("table", {}, el("thead", {}, head), body));
    if (more) this._holder.append(more);
  }

  _head(column) {
    const { format } = this._box;
    const value = column.value === null ? "" : ` ${column.value}`;
    const kept = column.name === "raw" ? "" : ` · ${format.share(column.mass)}`;
    return el("th", { scope: "col" },
      button(`${this._stageName(column.name).replaceAll("_", " ")}${value}`, () => this._showLesson(column.name, column.lesson), { class: "link stage" }),
      el("span", { class: "soft", title: this._box.word("kept") }, column.kept === null ? "?" : `${column.certain || column.unknown ? "" : "≈ "}${format.count(column.kept)}${kept}`));
  }

  _softmaxHead(found) {
    return el("th", { scope: "col" },
      button("softmax", () => this._showLesson("softmax", found.softmax), { class: "link stage" }),
      el("span", { class: "soft" }, this._box.word("draw_from")));
  }

  _stageName(stage) { return stage === "raw" ? this._box.word("raw") : stage; }

  _showLesson(name, [what, formula, source]) {
    const same = !this._lesson.hidden && this._lesson.dataset.stage === name;
    this._lesson.hidden = same;
    this._lesson.dataset.stage = name;
    this._lesson.replaceChildren(
      el("strong", {}, this._stageName(name)), el("p", {}, what),
      formula ? el("code", { class: "formula" }, formula) : "",
      source ? el("p", { class: "soft" }, source) : "");
  }

  _row(row) {
    const { format } = this._box;
    const cells = row.cells.map((cell, at) => {
      if (cell === UNKNOWN) return el("td", { class: "unknown", title: this._box.word("unknown") }, "?");
      if (cell) return this._cell(cell, row);
      const isFirst = row.cells.findIndex((other) => !other) === at;
      return el("td", { class: "gone", title: isFirst ? row.reason : null }, isFirst ? "✕" : "");
    });
    const last = row.cells.at(-1);
    const final = this._found.remote ? null : el("td", { class: "final" }, this._finalProbability(row, last));
    const name = el("div", {}, el("code", {}, visible(row.token)));
    const canForce = Boolean(this.take);
    if (row.id !== null && (canForce || (this._box.data.can_branch && !row.chosen))) {
      name.append(button(this._box.word("take"), () => this._take(row.id), {
        class: "take", "aria-label": `${this._box.word("take")} ${visible(row.token)}`,
      }));
    }
    const made = el("tr", { class: row.chosen ? "chosen" : "" }, el("th", { scope: "row" }, name), ...cells, final ?? "");
    made.onmouseenter = made.onclick = () => this._showReason(row);
    return made;
  }

  // Behind a custom stage the record still has the probability of the token that was chosen.
  _finalProbability(row, cell) {
    if (cell !== UNKNOWN) return cell ? this._box.format.share(cell[PROBABILITY]) : "";
    const { columns, drawn } = this._found;
    return row.chosen && columns.at(-1).recorded ? this._box.format.share(drawn) : "?";
  }

  _showReason(row) {
    const { format } = this._box;
    const raw = row.cells[0];
    const parts = [visible(row.token), ...(row.id === null ? [] : [`id ${row.id}`]), `${this._box.word("score")} ${format.score(raw[SCORE])}`];
    if (row.reason) parts.push(`${row.removed_by}: ${row.reason}`);
    else if (row.interval) parts.push(row.interval.map((end) => end.toFixed(4)).join(" – "));
    this._why.textContent = parts.join(" · ");
  }

  _cell(cell, row) {
    const { format } = this._box;
    const word = (name) => this._box.word(name);
    const written = {
      probability: format.share(cell[PROBABILITY]), cumulative: format.share(cell[CUMULATIVE]),
      rank: format.count(cell[RANK] + 1), score: format.score(cell[SCORE]),
    };
    const title = [
      visible(row.token), `${word("score")} ${written.score}`, `${word("rank")} ${written.rank}`,
      `${word("probability")} ${written.probability}`, `${word("cumulative")} ${written.cumulative}`,
    ].join("\n");
    const bar = el("span", { class: "bar", style: { width: `${(100 * cell[PROBABILITY]).toFixed(2)}%` } });
    const about = cell[CERTAIN] ? "" : "≈ ";
    return el("td", { title }, bar, el("span", { class: "value" }, about + written[this._shown]));
  }

  _actions(found) {
    if (this.isPreview || !this._box.data.can_branch) return "";
    return el("div", { class: "row actions" },
      button(this._box.word("anew"), () => this._box.send("branch", { place: found.place }), {
        title: this._box.word("anew_help"),
      }));
  }

  _take(id) {
    if (this.take) this.take(id);
    else this._box.send("branch", { place: this._found.place, token: id });
  }

  _context(before) {
    if (!before) return "";
    const { format } = this._box;
    const strip = (tokens, length, name) => el("p", {},
      el("span", { class: "soft" }, `${this._box.word(name)} (${format.count(length)}) `),
      length > tokens.length ? "… " : "",
      ...tokens.map(([id, token]) => el("span", { class: "piece" }, el("code", {}, visible(token)), el("small", {}, id))));
    return el("details", { class: "before" }, el("summary", {}, this._box.word("before")),
      strip(before.prompt, before.prompt_length, "prompt_ids"), strip(before.reply, before.reply_length, "output_ids"));
  }
}
