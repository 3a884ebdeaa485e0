// Moves the focus where a handler says; that it is never lost to the page is page.js's. Gradio runs this once for each tab.

const TAKES = "a[href], button, input:not([type=file]), select, textarea, summary, [tabindex]";
/** @type {(node: HTMLElement & { disabled?: boolean }) => boolean} */
const there = (node) => node.isConnected && node.checkVisibility({ visibilityProperty: true }) && !node.disabled;

const TRIES = 30; // of 100 ms each: what is to get the focus may come with the same answer, a moment later

/** @type {(value: { to: string } | null, tries?: number) => unknown} */
function go(value, tries = TRIES) {
  if (value !== props.value) return; // another one since
  const place = document.getElementById(value?.to ?? "");
  const below = /** @type {Iterable<HTMLElement>} */ (place?.querySelectorAll(TAKES) ?? []);
  const found = place && [place, ...below].find((node) => node.matches(TAKES) && there(node));
  if (!found) return tries && setTimeout(() => go(value, tries - 1), 100);
  found.focus({ preventScroll: true });
  place.scrollIntoView({ behavior: "smooth", block: "nearest" });
}

watch("value", () => go(props.value));
