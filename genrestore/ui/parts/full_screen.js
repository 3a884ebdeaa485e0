// Has `button` show `root` on the whole screen, or, where the browser gives that to videos alone, on the whole window, as its
// class "full" says. `draw` is called when that has changed. Returns what tells whether it is so.
/** @type {typeof globalThis.fullScreen} */
function fullScreen(root, button, draw) {
  const isFull = () => document.fullscreenElement === root || root.classList.contains("full");
  function tell() {
    button.setAttribute("aria-pressed", isFull());
    draw();
  }
  /** @type {(on: boolean) => void} */
  function fill(on) {
    root.classList.toggle("full", on);
    document.documentElement.classList.toggle("still", on);
    tell();
  }
  button.addEventListener("click", async () => {
    if (document.fullscreenElement) return document.exitFullscreen();
    if (root.classList.contains("full")) return fill(false);
    try {
      await root.requestFullscreen();
    } catch {
      fill(true);
    }
  });
  root.addEventListener("fullscreenchange", tell);
  root.addEventListener("keydown", (event) => event.key === "Escape" && root.classList.contains("full") && fill(false));
  return isFull;
}
