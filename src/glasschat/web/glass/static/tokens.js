// The reply as tokens, tinted by one of their numbers, with a line of the same number above.

import { Chart } from "./chart.js";
import { choice, el } from "./dom.js";
import { running, visible } from "./text.js";
import { WaterfallView } from "./waterfall.js";

const LEVELS = 8;
const AT_ONCE = 500;
export const TINTS = {
  // How warm a token is, from 0 to 1, and where the scale ends.
  probability: { heat: (value) => (1 - value) ** 2, unit: "share", from: 1, to: 0 },
  surprise: { heat: (value) => value / 10, unit: "bits", from: 0, to: 10 },
  entropy: { heat: (value) => value / 8, unit: "bits", from: 0, to: 8 },
  change: { heat: (value) => value, unit: "share", from: 0, to: 1 },
};

export function mount(box, pane) {
  const { reply } = box;
  let tint = "probability";
  const spans = [];
  const written = (name, place) => {
    const value = reply[name][place];
    return TINTS[name].unit === "share" ? box.format.share(value) : box.format.bits(value, box.word("bits"));
  };

  const chart = new Chart(box, (place) => box.select(place));
  const legend = el("div", { class: "legend" });
  const line = el("p", { class: "reading" });
  const text = el("div", {
    class: "heat", tabindex: 0, role: "group", "aria-label": box.word("tab_tokens"), dir: "auto",
  });
  const waterfall = new WaterfallView(box);
  const tints = choice(
    Object.keys(TINTS).map((name) => [name, box.word(`tint_${name}`)]), tint, box.word("tint"),
    (chosen) => { tint = chosen; paint(0); explain(); },
  );
  pane.append(
    el("div", { class: "row" }, tints, legend), chart.root, text, line, waterfall.root,
  );

  const explain = () => {
    const scale = TINTS[tint];
    const end = (value) => (scale.unit === "share" ? box.format.share(value) : `${value} ${box.word("bits")}`);
    const swatches = Array.from({ length: LEVELS + 1 }, (_, level) => el("span", { class: `swatch l${level}` }));
    const last = scale.unit === "bits" ? `${end(scale.to)}+` : end(scale.to);
    legend.replaceChildren(end(scale.from), el("span", { class: "scale" }, ...swatches), last);
    legend.title = box.word("legend");
  };

  const level = (place) => {
    const value = reply[tint][place];
    if (value === null) return 0;
    return Math.max(0, Math.min(LEVELS, Math.round(TINTS[tint].heat(value) * LEVELS)));
  };

  const classes = (place) => {
    const found = ["t", `l${level(place)}`];
    if (reply.probability[place] !== null && reply.probability[place] < 0.1) found.push("unlikely");
    if (reply.forced.has(place)) found.push("forced");
    if (reply.ends.has(place)) found.push("end");
    if (place === box.place) found.push("chosen");
    return found.join(" ");
  };

  const paint = (start) => {
    for (let place = start; place < spans.length; place += 1) spans[place].className = classes(place);
    chart.show(reply[tint], tint, TINTS[tint]);
  };

  const add = () => {
    const parts = [];
    for (let place = spans.length; place < reply.count; place += 1) {
      const span = document.createElement("span");
      span.append(...running(reply.tokens[place]));
      span.className = classes(place);
      spans.push(span);
      parts.push(span);
    }
    // In portions, so that the browser lays out what is seen and skips the rest.
    while (parts.length) {
      let last = text.lastElementChild;
      if (!last || last.childElementCount >= AT_ONCE) {
        last = el("span", { class: "portion" });
        text.append(last);
      }
      last.append(...parts.splice(0, AT_ONCE - last.childElementCount));
    }
  };

  const place = (target) => {
    const span = target.closest?.(".t");
    return span ? spans.indexOf(span) : -1;
  };

  const read = (at) => {
    if (at < 0 || at >= reply.count) { line.textContent = "\u00a0"; return; }
    const parts = [
      `${box.word("number").replace("{n}", box.format.count(at + 1))} ${visible(reply.tokens[at])}`,
    ];
    if (reply.ids[at] !== null) parts.push(`id ${reply.ids[at]}`);
    if (reply.probability[at] !== null) {
      parts.push(`${box.word("probability")} ${box.format.share(reply.probability[at])}`);
      if (reply.rank[at] !== null) parts.push(`${box.word("rank")} ${box.format.count(reply.rank[at] + 1)}`);
      if (tint !== "probability") {
        const about = tint === "change" && reply.inexact.has(at) ? "≈ " : "";
        parts.push(`${box.word(`tint_${tint}`)} ${about}${written(tint, at)}`);
      }
      if (reply.forced.has(at)) parts.push(box.word("by_hand"));
    }
    line.textContent = parts.join(" · ");
  };

  text.onmouseover = (event) => {
    const at = place(event.target);
    if (at >= 0) { read(at); chart.hover(at); }
  };
  text.onmouseleave = () => { read(box.place ?? -1); chart.hover(null); };
  text.onclick = (event) => {
    const at = place(event.target);
    if (at >= 0) box.select(at);
  };
  text.onkeydown = (event) => {
    const last = reply.count - 1;
    const at = box.place ?? -1;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    box.select(Math.max(0, Math.min(last, to)));
  };
  chart.onHover = (at) => read(at ?? box.place ?? -1);

  let looked = null;
  box.onSelect((at) => {
    if (looked !== null && spans[looked]) spans[looked].classList.remove("chosen");
    looked = at;
    spans[at]?.classList.add("chosen");
    const span = spans[at];
    if (span) {
      const [top, height] = [span.offsetTop - text.offsetTop, span.offsetHeight];
      if (top < text.scrollTop) text.scrollTop = top - height;
      else if (top + height > text.scrollTop + text.clientHeight) text.scrollTop = top - text.clientHeight + 2 * height;
    }
    read(at);
    chart.select(at);
    waterfall.show(at);
  });

  box.onUpdate(() => { if (box.place !== null) waterfall.show(box.place); });
  explain();
  read(-1);
  reply.watch((start) => {
    const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 40;
    add();
    paint(start);
    if (reply.growing && atEnd) text.scrollTop = text.scrollHeight;
    if (box.place === null) waterfall.hint();
  });
}
