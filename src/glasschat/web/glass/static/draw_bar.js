// The last candidates laid end to end from 0 to 1, and where the draw fell.

import { el } from "./dom.js";
import { visible } from "./text.js";

const NARROW = 0.06;
const SHADES = 4;

export function drawBar(box, found) {
  const remaining = found.candidates.filter((row) => row.interval).sort((a, b) => a.interval[0] - b.interval[0]);
  const percent = (share) => `${(100 * share).toFixed(3)}%`;
  const bar = el("div", { class: "draw", role: "img", "aria-label": found.story.at(-1) });
  let end = 0;
  remaining.forEach((row, at) => {
    const [low, high] = row.interval;
    bar.append(el("span", {
      class: `part s${at % SHADES}${row.chosen ? " chosen" : ""}`,
      style: { left: percent(low), width: percent(high - low) },
      title: `${visible(row.token)}  ${low.toFixed(4)} – ${high.toFixed(4)}`,
    }, high - low > NARROW ? visible(row.token) : ""));
    end = Math.max(end, high);
  });
  if (end < 0.999) {
    bar.append(el("span", {
      class: "part rest", style: { left: percent(end), width: percent(1 - end) }, title: box.word(found.columns.at(-1).unknown ? "unknown" : "rest"),
    }, 1 - end > NARROW ? "…" : ""));
  }
  const scale = el("div", { class: "ends soft" }, el("span", {}, "0"), el("span", {}, "1"));
  const parts = [bar, scale];
  if (found.u !== null) {
    bar.append(el("span", { class: "u", style: { left: percent(found.u) } }));
    scale.insertBefore(el("span", { class: "u-label", style: { left: percent(found.u) } }, `u = ${found.u.toFixed(4)}`), scale.lastChild);
  }
  return el("div", { class: "drawing" }, ...parts);
}
