// Shortcuts with Alt, heard on the whole page; Escape belongs to the Stop button.

export default function ({ data, parentElement, setTriggerValue }) {
  const heard = (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.repeat) return;
    const name = data.codes[event.code];
    if (!name) return;
    event.preventDefault();
    if (name !== "search") {
      setTriggerValue("pressed", name);
      return;
    }
    const input = document.querySelector(".st-key-search input");
    if (input && input.offsetParent !== null) {
      input.focus();
      input.select();
      return;
    }
    // The sidebar is folded: unfold it first.
    document.querySelector('[data-testid="stExpandSidebarButton"]')?.click();
    setTimeout(() => document.querySelector(".st-key-search input")?.focus(), 400);
  };
  document.addEventListener("keydown", heard, true);
  return () => document.removeEventListener("keydown", heard, true);
}
