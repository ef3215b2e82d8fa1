// The reply that the box is opened on, as it grows: columns of its tokens' numbers.

const EVERY_MS = 300;
const COLUMNS = ["tokens", "ids", "rank", "probability", "surprise", "entropy", "change", "drawn"];
const MARKS = ["forced", "inexact", "ends"];

export class Reply {
  constructor(get) {
    this._get = get;
    this._watchers = new Set();
    this._closed = false;
    this.state = "";
    this.note = "";
    this.error = "";
    for (const name of COLUMNS) this[name] = [];
    for (const name of MARKS) this[name] = new Set();
    this._poll();
  }

  get count() { return this.ids.length; }
  get growing() { return this.state !== "finished"; }

  // Call `watcher(start)` with the first new place, at once and whenever tokens were added.
  watch(watcher) {
    this._watchers.add(watcher);
    watcher(0);
    return () => this._watchers.delete(watcher);
  }

  close() {
    this._closed = true;
    clearTimeout(this._timer);
  }

  // Poll at once: after a signal the next poll would show its effect late.
  pollNow() {
    clearTimeout(this._timer);
    this._poll();
  }

  async _poll() {
    if (this._busy) { this._again = true; return; }
    this._busy = true;
    const start = this.count;
    const before = this.state;
    try {
      const found = await this._get("tokens", { from: start });
      if (this._closed) return;
      for (const name of COLUMNS) this[name].push(...found[name]);
      for (const name of MARKS) found[name].forEach((place) => this[name].add(place));
      this.error = "";
      this.state = found.state;
      this.note = found.note;
    } catch (error) {
      this.error = error.message;
    }
    this._busy = false;
    if (this._closed) return;
    if (this.count > start || this.state !== before || this.error || start === 0) {
      this._watchers.forEach((watcher) => watcher(start));
    }
    if (this._again) { this._again = false; this._poll(); return; }
    if (this.growing) this._timer = setTimeout(() => this._poll(), EVERY_MS);
  }
}
