// One number of every token as a line, on a canvas: thousands of points are drawn in a moment.

import { el } from "./dom.js";

const HEIGHT = 64;
const PAD = 3;
// Room for what the top and the bottom of the scale stand for.
const LEFT = 62;

export class Chart {
  constructor(box, pick) {
    this._box = box;
    this._values = [];
    this._most = 1;
    this.onHover = () => {};
    this.canvas = el("canvas", { height: HEIGHT, role: "img" });
    this._top = el("span", { class: "end top" });
    this._bottom = el("span", { class: "end bottom" });
    this.root = el("div", { class: "chart" }, this.canvas, this._top, this._bottom);
    this.canvas.onclick = (event) => {
      const at = this._at(event);
      if (at !== null) pick(at);
    };
    this.canvas.onmousemove = (event) => { this.hover(this._at(event)); this.onHover(this._at(event)); };
    this.canvas.onmouseleave = () => { this.hover(null); this.onHover(null); };
    new ResizeObserver(() => this._draw()).observe(this.root);
  }

  show(values, name, scale) {
    this._values = values;
    this._most = scale.unit === "share" ? 1 : Math.max(1, ...this._peaks(400));
    const { format, word } = { format: this._box.format, word: (w) => this._box.word(w) };
    this._top.textContent = scale.unit === "share"
      ? format.share(1) : format.bits(this._most, word("bits"));
    this._bottom.textContent = "0";
    this.canvas.setAttribute("aria-label", word(`tint_${name}`));
    this._draw();
  }

  hover(place) { this._hover = place; this._draw(); }
  select(place) { this._chosen = place; this._draw(); }

  _at(event) {
    const count = this._values.length;
    if (!count) return null;
    const { left, width } = this.canvas.getBoundingClientRect();
    const share = (event.clientX - left - LEFT) / Math.max(1, width - LEFT - PAD);
    return Math.max(0, Math.min(count - 1, Math.floor(share * count)));
  }

  // The extremes of so many equal stretches: nothing that stands out is lost between pixels.
  _peaks(columns) {
    const count = this._values.length;
    const found = [];
    for (let column = 0; column < Math.min(columns, count); column += 1) {
      const from = Math.floor((column * count) / Math.min(columns, count));
      const to = Math.max(from + 1, Math.floor(((column + 1) * count) / Math.min(columns, count)));
      let most = 0;
      for (let at = from; at < to; at += 1) most = Math.max(most, this._values[at] ?? 0);
      found.push(most);
    }
    return found;
  }

  _draw() {
    const width = this.root.clientWidth;
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(HEIGHT * ratio);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${HEIGHT}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.root);
    const inner = width - LEFT - PAD;
    const count = this._values.length;
    const y = (value) => HEIGHT - PAD - (Math.min(value, this._most) / this._most) * (HEIGHT - 2 * PAD);
    const x = (place) => LEFT + ((place + 0.5) / Math.max(1, count)) * inner;
    pen.strokeStyle = style.getPropertyValue("--faint");
    pen.beginPath();
    pen.moveTo(LEFT, HEIGHT - PAD + 0.5);
    pen.lineTo(width - PAD, HEIGHT - PAD + 0.5);
    pen.stroke();
    const columns = Math.max(1, Math.floor(inner));
    pen.strokeStyle = style.getPropertyValue("--accent");
    pen.lineWidth = 1.25;
    pen.beginPath();
    let drawing = false;
    const point = (at, value) => {
      if (value === null || value === undefined) { drawing = false; return; }
      if (drawing) pen.lineTo(at, y(value));
      else pen.moveTo(at, y(value));
      drawing = true;
    };
    if (count > columns) {
      this._peaks(columns).forEach((value, column) => point(LEFT + column + 0.5, value));
    } else {
      this._values.forEach((value, place) => point(x(place), value));
    }
    pen.stroke();
    this._mark(pen, x, y, this._hover, style.getPropertyValue("--soft"));
    this._mark(pen, x, y, this._chosen, style.getPropertyValue("--text"));
  }

  _mark(pen, x, y, place, colour) {
    if (place === null || place === undefined || place >= this._values.length) return;
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x(place), PAD);
    pen.lineTo(x(place), HEIGHT - PAD);
    pen.stroke();
    pen.beginPath();
    pen.arc(x(place), y(this._values[place] ?? 0), 2.5, 0, 2 * Math.PI);
    pen.fill();
  }
}
