// Shows the blocks of a growing reply that Streamlit has not drawn yet.
//
// Text is only ever set as text: no markup of the model's becomes markup of the page. What is drawn
// here is a plain reading of Markdown; each block is drawn by Streamlit once it is finished.

const CURSOR = "▌";
const NEAR_END = 80;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const FENCE = /^\s*(`{3,}|~{3,})/;
const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|(?<![\w*])\*(?!\s)([^*]+?)\*(?!\w)/g;

function element(name, parent, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function inline(text, parent) {
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    parent.append(text.slice(end, match.index));
    if (match[2] !== undefined) element("code", parent, match[2]);
    else if (match[3] !== undefined) inline(match[3], element("strong", parent));
    else inline(match[4], element("em", parent));
    end = match.index + match[0].length;
  }
  parent.append(text.slice(end));
}

function drawCode(lines, at, parent) {
  const mark = FENCE.exec(lines[at])[1];
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(mark)) end += 1;
  const pre = element("pre", parent);
  element("code", pre, lines.slice(at + 1, end).join("\n"));
  return end + 1;
}

function drawList(lines, at, parent) {
  const stack = [];
  let item = null;
  for (; at < lines.length; at += 1) {
    const match = ITEM.exec(lines[at]);
    if (!match) {
      if (!item || (lines[at].trim() && !/^\s/.test(lines[at]))) break;
      if (lines[at].trim()) {
        item.append(" ");
        inline(lines[at].trim(), item);
      }
      continue;
    }
    const indent = match[1].length;
    const ordered = /\d/.test(match[2]);
    while (stack.length > 1 && indent < stack.at(-1).indent) stack.pop();
    // Bullets behind numbers are another list.
    if (stack.length && indent <= stack.at(-1).indent && ordered !== stack.at(-1).ordered) break;
    if (!stack.length || indent > stack.at(-1).indent) {
      const list = element(ordered ? "ol" : "ul", item && stack.length ? item : parent);
      if (ordered) list.start = parseInt(match[2], 10);
      stack.push({ indent, list, ordered });
    }
    item = element("li", stack.at(-1).list);
    inline(match[3], item);
  }
  return at;
}

function draw(text, parent) {
  const lines = text.split("\n");
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (!line.trim()) at += 1;
    else if (FENCE.test(line)) at = drawCode(lines, at, parent);
    else if (heading) {
      inline(heading[2], element(`h${heading[1].length}`, parent));
      at += 1;
    } else if (ITEM.test(line)) at = drawList(lines, at, parent);
    else {
      const start = at;
      while (
        at < lines.length && lines[at].trim() &&
        (at === start || !(FENCE.test(lines[at]) || ITEM.test(lines[at]) || /^#{1,6}\s/.test(lines[at])))
      ) at += 1;
      const quoted = lines.slice(start, at).every((l) => /^\s*>/.test(l));
      const words = lines.slice(start, at).map((l) => (quoted ? l.replace(/^\s*> ?/, "") : l));
      inline(words.join("\n"), element("p", quoted ? element("blockquote", parent) : parent));
    }
  }
}

function lastPlace(parent) {
  let place = parent;
  while (place.lastElementChild && !["CODE"].includes(place.tagName)) place = place.lastElementChild;
  return place;
}

// Only what differs is painted anew.
function patch(old, next) {
  const made = [...next.childNodes];
  const there = [...old.childNodes];
  let same = 0;
  while (same < there.length && same < made.length && there[same].isEqualNode(made[same])) same += 1;
  there.slice(same).forEach((node) => node.remove());
  old.append(...made.slice(same));
}

// The part of the page that scrolls.
function scrollerOf(element) {
  for (let place = element.parentElement; place; place = place.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(place).overflowY)) return place;
  }
  return document.scrollingElement;
}

// Streamlit's own class for Markdown, so that it looks the same; there is some on every page.
function dress(root) {
  if (root.dataset.dressed) return;
  const model = document.querySelector('[data-testid="stChatMessage"] [data-testid="stMarkdownContainer"]');
  if (!model) return;
  root.className = `live ${model.className}`;
  root.dataset.dressed = "1";
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".live");
  if (root.stop && root.address === data.address) return root.stop;
  if (root.stop) root.stop();
  const texts = [];
  const scroller = scrollerOf(root);
  let over = false;
  let follow = true;
  // Whoever scrolls up to read is left there, until they come back to the end.
  const scrolled = () => {
    follow = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;
  };
  let drawn = "";

  const show = () => {
    dress(root);
    const body = document.querySelector(data.body);
    const there = body ? body.querySelectorAll('[data-testid="stMarkdown"]').length : 0;
    const rest = texts.slice(there).filter((text) => text !== undefined);
    const text = rest.join("\n\n");
    if (text === drawn) return;
    drawn = text;
    const next = document.createElement("div");
    draw(text, next);
    if (!over && text) lastPlace(next).append(CURSOR);
    patch(root, next);
    if (follow) scroller.scrollTop = scroller.scrollHeight;
  };

  const source = new EventSource(new URL(data.address, document.baseURI));
  source.addEventListener("start", () => { texts.length = 0; });
  source.addEventListener("end", () => { over = true; source.close(); });
  source.onmessage = (event) => {
    const [block, text] = JSON.parse(event.data);
    texts[block] = (texts[block] ?? "") + text;
    show();
  };
  // In the moment in which Streamlit has drawn a block, it goes from here.
  const observer = new MutationObserver(show);
  const message = root.closest('[data-testid="stChatMessage"]') ?? document.body;
  scroller.addEventListener("scroll", scrolled, { passive: true });
  observer.observe(message, { childList: true, subtree: true });
  root.address = data.address;
  root.stop = () => {
    source.close();
    observer.disconnect();
    scroller.removeEventListener("scroll", scrolled);
    root.stop = undefined;
  };
  return root.stop;
}
