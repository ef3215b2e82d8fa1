// Brings the end of a conversation into view when it is opened or grows by a turn.

const SETTLE_MS = 800;

export default function ({ data, parentElement }) {
  const place = parentElement.querySelector("span");
  if (place.dataset.shown === data.end) return;
  place.dataset.shown = data.end;
  let scroller = parentElement.getRootNode().host ?? parentElement;
  while (scroller.parentElement && !/auto|scroll/.test(getComputedStyle(scroller).overflowY)) {
    scroller = scroller.parentElement;
  }
  // What is above may still be on its way; a hand on the wheel ends it.
  const go = () => { scroller.scrollTop = scroller.scrollHeight; };
  const timer = setInterval(go, 50);
  const stop = () => clearInterval(timer);
  scroller.addEventListener("wheel", stop, { once: true, passive: true });
  scroller.addEventListener("touchmove", stop, { once: true, passive: true });
  setTimeout(stop, SETTLE_MS);
  go();
}
