"""A button that copies a text to the clipboard."""

import streamlit as st

# The text arrives as data and is only ever handed to the clipboard: no markup is made of it.
_HTML = """<button type="button" title="Copy the reply">Copy</button>"""
_CSS = """
button {
  border: none; background: none; cursor: pointer; padding: 0.25rem 0;
  font: inherit; font-size: 0.875rem; color: var(--st-text-color); opacity: 0.75;
  border-radius: var(--st-button-radius); white-space: nowrap;
}
button:hover, button:focus-visible { opacity: 1; color: var(--st-primary-color); }
"""
_JS = """
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  const text = data.text;
  const fallback = () => {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    document.body.appendChild(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  };
  button.onclick = async () => {
    let copied = false;
    try {
      await navigator.clipboard.writeText(text);
      copied = true;
    } catch {
      copied = fallback();
    }
    button.textContent = copied ? "Copied" : "Copying is not allowed here";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
}
"""
_mount = st.components.v2.component("glasschat_copy", html=_HTML, css=_CSS, js=_JS)


def copy_button(text: str, *, key: str) -> None:
    """A quiet button that copies `text`."""
    _mount(key=key, data={"text": text}, width="content")
