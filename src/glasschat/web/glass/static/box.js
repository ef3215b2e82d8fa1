// The glass box: a panel beside the chat, or below it on a narrow page, with its parts as tabs.

import { button, el } from "./dom.js";
import { Reply } from "./reply.js";
import { Format } from "./text.js";

const TABS = ["tokens", "whatif", "knobs", "prompt", "debug", "compare", "steps"];
const WIDE = "glasschat_box_wide";

class Box {
  constructor(root, data, send) {
    this.data = data;
    this.send = send;
    this.format = new Format(data.language);
    this.place = null;
    this._selected = new Set();
    this._closing = [];
    this._known = [];
    this._opened = new Map();
    this.reply = new Reply((what, asked) => this.ask(what, asked));
    this.panes = new Map();
    this._draw(root);
    this.open(data.tab && !(data.tab in data.closed) ? data.tab : "tokens");
  }

  word(name) { return this.data.words[name] ?? name; }

  // Ask the server about this reply. Throws an Error whose message is for people.
  async ask(what, asked = {}) { return this._fetch(`${what}?${new URLSearchParams(asked)}`); }

  async tell(what, body) {
    return this._fetch(what, {
      method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" },
    });
  }

  async _fetch(path, options) {
    let response;
    try {
      response = await fetch(new URL(`glass/box/${this.data.key}/${path}`, document.baseURI), options);
    } catch {
      throw new Error(this.word("unreachable"));
    }
    let found = {};
    try { found = await response.json(); } catch { /* what is no answer of ours says nothing */ }
    if (!response.ok) throw new Error(found.error ?? this.word("unreachable"));
    return found;
  }

  // One token is looked at, in all parts at once.
  select(place) {
    this.place = place;
    this._selected.forEach((tell) => tell(place));
  }

  onSelect(tell) { this._selected.add(tell); }

  async open(name) {
    this.tab = name;
    for (const [id, tab] of this.tabs) {
      tab.setAttribute("aria-selected", String(id === name));
      tab.tabIndex = id === name ? 0 : -1;
    }
    let pane = this.panes.get(name);
    if (pane) this._opened.get(name)?.();
    else {
      pane = el("div", { class: `pane ${name}`, role: "tabpanel" });
      this.panes.set(name, pane);
      this.body.append(pane);
      const part = await import(`./${name}.js`);
      part.mount(this, pane);
    }
    for (const [id, other] of this.panes) other.hidden = id !== name;
  }

  onOpen(name, tell) { this._opened.set(name, tell); }

  // The page says anew what can be done: a reply that is being written allows no other.
  know(data) {
    const { can_branch: before, can_ask: asked } = this.data;
    this.data = data;
    if (data.can_branch !== before || data.can_ask !== asked) this._known.forEach((tell) => tell());
  }

  onKnown(tell) { this._known.push(tell); }

  onClose(tell) { this._closing.push(tell); }

  close() {
    this.reply.close();
    this._closing.forEach((tell) => tell());
  }

  _draw(root) {
    const names = this.data.tabs ?? TABS;
    this.tabs = new Map(names.map((name) => [
      name, button(this.word(`tab_${name}`), () => this.open(name), {
        role: "tab", disabled: name in this.data.closed, title: this.data.closed[name],
      }),
    ]));
    const strip = el("div", { class: "tabs", role: "tablist" }, ...this.tabs.values());
    strip.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = [...this.tabs.keys()].filter((name) => !(name in this.data.closed));
      const at = all.findIndex((name) => this.tabs.get(name).tabIndex === 0);
      const next = all[(at + step + all.length) % all.length];
      this.tabs.get(next).focus();
      this.open(next);
    };
    const grow = button("⤢", () => this._widen(!root.classList.contains("wide")), {
      class: "plain", title: this.word("wider"), "aria-label": this.word("wider"),
    });
    const save = el("a", {
      class: "plain", href: new URL(`glass/box/${this.data.key}/trace`, document.baseURI), download: "",
      title: this.word("save"), "aria-label": this.word("save"),
    }, "⤓");
    const shut = button("×", () => this.send("close", {}), {
      class: "plain", title: this.word("close"), "aria-label": this.word("close"),
    });
    this.head = el("span", { class: "figures" });
    this.trouble = el("p", { class: "trouble", role: "alert", hidden: true });
    this.body = el("div", { class: "body" });
    this._root = root;
    root.replaceChildren(
      el("header", {}, el("h2", {}, this.word("title")), this.head, save, grow, shut), strip,
      this.trouble, this.body,
    );
    this._widen(localStorage.getItem(WIDE) === "1");
    this.reply.watch(() => this._figures());
  }

  _widen(wide) {
    this._root.classList.toggle("wide", wide);
    localStorage.setItem(WIDE, wide ? "1" : "0");
  }

  _figures() {
    const { reply } = this;
    const count = this.word(reply.count === 1 ? "token" : "tokens").replace("{n}", this.format.count(reply.count));
    const state = reply.growing && reply.state ? ` · ${this.word(`state_${reply.state}`)}` : "";
    this.head.textContent = reply.state ? count + state : "";
    this.trouble.textContent = reply.error || reply.note;
    this.trouble.hidden = !this.trouble.textContent;
  }
}

// Streamlit calls this for every run of the page: the box stays while it is on the same reply.
export function show(root, data, send) {
  if (root.box && root.box.data.key === data.key && root.box.data.language === data.language) {
    root.box.send = send;
    root.box.know(data);
    return;
  }
  // On another reply it opens where one was looking.
  const tab = root.box?.tab ?? data.tab;
  root.box?.close();
  root.box = new Box(root, { ...data, tab }, send);
}
