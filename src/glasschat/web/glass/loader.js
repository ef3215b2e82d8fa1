// The component that Streamlit mounts: it imports the glass box's modules and passes them the page's data.

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".box");
  const address = new URL(data.files, document.baseURI);
  const ground = getComputedStyle(root).getPropertyValue("--st-background-color").trim();
  root.classList.toggle("dark", isDark(ground));
  const send = (action, detail) => setTriggerValue("act", { action, ...detail });
  import(new URL("box.js", address)).then(({ show }) => show(root, data, send));
}

// Whether a background colour is dark.
function isDark(colour) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = colour || "#fff";
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return 0.3 * red + 0.6 * green + 0.1 * blue < 128;
}
