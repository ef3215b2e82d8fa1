// The glass box: a panel beside the chat, or below it on a narrow page, with its parts as tabs.

import { button, el } from "./dom.js";
import { Reply } from "./reply.js";
import { Format } from "./text.js";

const WIDE = "glasschat_box_wide";

class Box {
  constructor(root, data, send) {
    this.data = data;
    this.send = send;
    this.format = new Format(data.language);
    this.place = null;
    this._selectListeners = new Set();
    this._closeListeners = [];
    this._dataListeners = [];
    this._openListeners = new Map();
    this.reply = new Reply((route, query) => this.get(route, query));
    this.panes = new Map();
    this._draw(root);
    this.open(data.tab && !(data.tab in data.closed) ? data.tab : "tokens");
  }

  word(name) { return this.data.words[name] ?? name; }

  // Ask the server about this reply. Throws an Error whose message is for people.
  async get(route, query = {}) { return this._fetch(`${route}?${new URLSearchParams(query)}`); }

  // Send a signal about this reply; throws like `get`.
  async post(route, body) {
    return this._fetch(route, {
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
    try { found = await response.json(); } catch { /* a body that is no JSON, as of a proxy, says nothing */ }
    if (!response.ok) throw new Error(found.error ?? this.word("unreachable"));
    return found;
  }

  // Select a token, in all parts at once.
  select(place) {
    this.place = place;
    this._selectListeners.forEach((listener) => listener(place));
  }

  onSelect(listener) { this._selectListeners.add(listener); }

  async open(name) {
    this.tab = name;
    for (const [id, tab] of this.tabs) {
      tab.setAttribute("aria-selected", String(id === name));
      tab.tabIndex = id === name ? 0 : -1;
    }
    let pane = this.panes.get(name);
    if (pane) this._openListeners.get(name)?.();
    else {
      pane = el("div", { class: `pane ${name}`, role: "tabpanel" });
      this.panes.set(name, pane);
      this.body.append(pane);
      const part = await import(`./${name}.js`);
      part.mount(this, pane);
    }
    for (const [id, other] of this.panes) other.hidden = id !== name;
  }

  onOpen(name, listener) { this._openListeners.set(name, listener); }

  // Take the page's data again: while a reply is being written no other can be started.
  update(data) {
    const { can_branch: canBranch, can_ask: canAsk } = this.data;
    this.data = data;
    if (data.can_branch !== canBranch || data.can_ask !== canAsk) this._dataListeners.forEach((listener) => listener());
  }

  onUpdate(listener) { this._dataListeners.push(listener); }

  onClose(listener) { this._closeListeners.push(listener); }

  close() {
    this.reply.close();
    this._closeListeners.forEach((listener) => listener());
  }

  _draw(root) {
    const names = this.data.tabs;
    this.tabs = new Map(names.map((name) => [
      name, button(this.word(`tab_${name}`), () => this.open(name), {
        role: "tab", disabled: name in this.data.closed, title: this.data.closed[name],
      }),
    ]));
    const tabList = el("div", { class: "tabs", role: "tablist" }, ...this.tabs.values());
    tabList.onkeydown = (event) => {
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
    const closeButton = button("×", () => this.send("close", {}), {
      class: "plain", title: this.word("close"), "aria-label": this.word("close"),
    });
    this.head = el("span", { class: "figures" });
    this.trouble = el("p", { class: "trouble", role: "alert", hidden: true });
    this.body = el("div", { class: "body" });
    this._root = root;
    root.replaceChildren(
      el("header", {}, el("h2", {}, this.word("title")), this.head, save, grow, closeButton), tabList,
      this.trouble, this.body,
    );
    this._widen(localStorage.getItem(WIDE) === "1");
    this.reply.watch(() => this._showFigures());
  }

  _widen(wide) {
    this._root.classList.toggle("wide", wide);
    localStorage.setItem(WIDE, wide ? "1" : "0");
  }

  _showFigures() {
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
    root.box.update(data);
    return;
  }
  // On another reply it opens where one was looking.
  const tab = root.box?.tab ?? data.tab;
  root.box?.close();
  root.box = new Box(root, { ...data, tab }, send);
}
