// What the model read before the reply: every token, coloured by where it came from.

import { el } from "./dom.js";
import { running, visible } from "./text.js";

const ORIGINS = ["template", "system", "user", "assistant"];

export async function mount(box, pane) {
  const word = (name) => box.word(name);
  const { format } = box;
  let found;
  try {
    found = await box.get("prompt");
  } catch (error) {
    pane.append(el("p", { class: "trouble" }, error.message));
    return;
  }
  if (!found.ids.length) {
    pane.append(el("p", { class: "hint" }, found.why ?? word("nothing_recorded")));
    return;
  }
  const counts = Object.fromEntries(ORIGINS.map((name) => [name, 0]));
  for (const [start, end, origin] of found.spans) counts[origin] += end - start;
  const legend = el("div", { class: "row origins" }, ...ORIGINS.filter((name) => counts[name]).map((name) => el(
    "span", {}, el("span", { class: `swatch ${name}` }), ` ${word(`origin_${name}`)} ${format.count(counts[name])}`)));
  const fresh = found.ids.length - found.cached;
  const read = word("prompt_read").replace("{n}", format.count(found.ids.length))
    .replace("{cached}", format.count(found.cached)).replace("{fresh}", format.count(fresh));
  pane.append(el("p", {}, read), legend);

  if (found.left_out.length) {
    pane.append(el("details", { class: "left-out" },
      el("summary", {}, word("left_out").replace("{n}", format.count(found.left_out.length))),
      ...found.left_out.map(([role, text]) => el("p", { class: "soft" }, el("strong", {}, word(`origin_${role}`)), ` ${text}`))));
  }
  if (found.pieces.length) {
    const pieces = [...new Set(found.pieces.map(([piece]) => piece))];
    pane.append(el("p", { class: "stayed" }, `${word("stayed_text")} `,
      ...pieces.map((piece) => el("code", {}, visible(piece)))));
  }

  const stayed = new Set();
  for (const [, start, end] of found.pieces) for (let at = start; at < end; at += 1) stayed.add(at);
  const line = el("p", { class: "reading" }, "\u00a0");
  const text = el("div", { class: "heat xray", dir: "auto", tabindex: 0 });
  let span = 0;
  found.ids.forEach((id, at) => {
    while (span < found.spans.length - 1 && at >= found.spans[span][1]) span += 1;
    const origin = found.spans[span][2];
    if (at === found.cached && at > 0) text.append(el("span", { class: "from-here", title: word("from_here") }, "┃"));
    const classes = ["t", origin];
    if (at < found.cached) classes.push("cached");
    if (stayed.has(at)) classes.push("text-piece");
    const made = el("span", { class: classes.join(" ") }, ...running(found.tokens[at]));
    made.onmouseenter = made.onclick = () => {
      const parts = [
        word("number").replace("{n}", format.count(at + 1)), visible(found.tokens[at]), `id ${id}`,
        word(`origin_${origin}`), word(at < found.cached ? "from_cache" : "prefilled"),
      ];
      if (stayed.has(at)) parts.push(word("stayed_here"));
      line.textContent = parts.join(" · ");
    };
    text.append(made);
  });
  pane.append(line, text);
}
