// When what has the focus is hidden, switched off or taken away, browsers give the focus to the page, and whoever uses the
// keyboard begins at the top again. Here it goes to the nearest thing that can take it: the innermost part of the tab
// round the lost one that is still there, or else the first control in such a part. Gradio runs this once for each tab.

const TAKES = "a[href], button, input:not([type=file]), select, textarea, summary, [tabindex]";
const tab = element.closest('[role="tabpanel"]');
let last = null; // what had the focus
let round = []; // the parts of the tab that it lies in, innermost first; one that is taken away no longer knows them
let waiting = false;

const seen = (node) => node.isConnected && node.checkVisibility({ visibilityProperty: true });
const there = (node) => seen(node) && !node.disabled;
const usable = (node) => there(node) && node.tabIndex >= 0;
const adrift = () => [null, document.body, document.documentElement, last].includes(document.activeElement);

function parts(node) {
  const found = [];
  for (let part = node.parentElement; part && tab.contains(part); part = part.parentElement) found.push(part);
  return found;
}

function nearest() {
  for (const part of round) {
    if (!seen(part)) continue;
    const found = [part, ...part.querySelectorAll(TAKES)].find((node) => node.matches(TAKES) && usable(node));
    if (found) return found;
  }
}

function look() {
  waiting = false;
  if (!last || there(last) || !adrift() || !seen(tab)) return; // not lost, or the visitor went to another tab
  const found = nearest();
  if (found) found.focus({ preventScroll: true });
}

// After the frame in which all of one update is on the page, and in which browsers let go of what they hid.
function lookSoon() {
  if (waiting || !last || there(last)) return;
  waiting = true;
  requestAnimationFrame(() => requestAnimationFrame(look));
}

tab.addEventListener("focusin", ({ target }) => {
  last = target;
  round = parts(target);
});
// A press beside everything takes the focus too, and from something that stays; what is taken away is still there for now.
tab.addEventListener("focusout", () =>
  requestAnimationFrame(() => {
    if (last && there(last) && document.activeElement === document.body && document.hasFocus()) last = null;
  }),
);
new MutationObserver(lookSoon).observe(tab, {
  subtree: true,
  childList: true,
  attributeFilter: ["class", "style", "hidden", "disabled", "tabindex", "data-state"],
});

const TRIES = 30; // of 100 ms each: what is to get the focus may come with the same answer, a moment later

function go(value, tries = TRIES) {
  if (value !== props.value) return; // another one since
  const place = document.getElementById(value?.to);
  const found = place && [place, ...place.querySelectorAll(TAKES)].find((node) => node.matches(TAKES) && there(node));
  if (!found) return tries && setTimeout(() => go(value, tries - 1), 100);
  found.focus({ preventScroll: true });
  place.scrollIntoView({ behavior: "smooth", block: "nearest" });
}

watch("value", () => go(props.value));
