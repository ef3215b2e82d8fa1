// The line under a turn: its figures, its siblings, and what can be done with it.

function button(parent, className, label, title, click) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = label;
  if (title) made.title = title;
  made.onclick = click;
  parent.append(made);
  return made;
}

function copyBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  document.body.appendChild(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const bar = parentElement.querySelector(".bar");
  const said = JSON.stringify(data);
  if (bar.dataset.said === said) return;
  bar.dataset.said = said;
  bar.replaceChildren();
  const act = (action) => () => {
    bar.classList.remove("open");
    setTriggerValue("act", action);
  };

  if (data.line) {
    const line = document.createElement("span");
    line.className = "line";
    line.textContent = data.line;
    bar.append(line);
  }
  if (data.of > 1) {
    const siblings = document.createElement("span");
    siblings.className = "siblings";
    bar.append(siblings);
    const back = button(siblings, "step", "‹", data.words.previous, act("previous"));
    back.setAttribute("aria-label", data.words.previous);
    back.disabled = data.at === 1;
    const place = document.createElement("span");
    place.className = "place";
    place.textContent = `${data.at}/${data.of}`;
    siblings.append(place);
    const on = button(siblings, "step", "›", data.words.next, act("next"));
    on.setAttribute("aria-label", data.words.next);
    on.disabled = data.at === data.of;
  }
  const tools = document.createElement("span");
  tools.className = "tools";
  bar.append(tools);
  const copy = button(tools, "", data.words.copy, "", async () => {
    let copied = false;
    try {
      await navigator.clipboard.writeText(data.text);
      copied = true;
    } catch {
      copied = copyBySelection(data.text);
    }
    copy.textContent = copied ? data.words.copied : data.words.refused;
    setTimeout(() => { copy.textContent = data.words.copy; }, 1500);
  });
  for (const [action, label] of data.actions) {
    button(tools, action === data.main ? "" : "fold", label, "", act(action));
  }
  if (data.actions.some(([action]) => action !== data.main)) {
    const more = button(tools, "more", "⋯", data.words.more, () => {
      more.setAttribute("aria-expanded", String(bar.classList.toggle("open")));
    });
    more.setAttribute("aria-label", data.words.more);
    more.setAttribute("aria-expanded", "false");
  }
}
