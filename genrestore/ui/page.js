// What the whole page shares: it is shown once it stands still, the address names the open tab, and the keyboard keeps its
// place. This runs before Gradio has drawn anything, with `WORDS` by language.
((WORDS) => {
  const language = languageOf(WORDS);
  const words = WORDS[language];
  document.documentElement.dataset.words = language; // for texts that are there in all languages
  const SAMPLED = ["model", "seed", "truncation", "a", "raw"]; // what the Sample tab writes; an old address names no tab
  const parts = window.gradio_config?.components ?? [];
  const frame = parts.find(({ type }) => type === "tabs");
  const names = parts.filter(({ type }) => type === "tabitem").map(({ props }) => props.id);
  const FIRST = names[0];

  const tabs = () => [...document.querySelectorAll('[role="tab"][data-tab-id]')];
  const opened = () => tabs().find((tab) => tab.getAttribute("aria-selected") === "true")?.dataset.tabId;

  function asked() {
    const query = new URLSearchParams(location.search);
    const name = query.get("tab") ?? (SAMPLED.some((key) => query.has(key)) ? "sample" : FIRST);
    return names.includes(name) ? name : FIRST;
  }

  function follow() {
    tabs().find((tab) => tab.dataset.tabId === asked())?.click();
  }

  // Whatever opens another tab, the address tells it, so that Back, a reload and a link open it again.
  function tell() {
    const name = opened();
    if (!name || name === asked()) return;
    const url = new URL(location.href);
    url.searchParams.set("tab", name);
    history.pushState(null, "", url);
  }

  // ---- the keyboard's place ----

  const FOCUSABLE = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
  const usable = (node) => !node.disabled && node.tabIndex >= 0 && !node.closest("[inert]") && seen(node);
  const seen = (node) => node.isConnected && node.checkVisibility({ visibilityProperty: true });
  let path = []; // where the focus stands: its node and all above, each with its number among its siblings

  function remember({ target }) {
    path = [];
    for (let node = target; node !== document.body && node?.parentElement; node = node.parentElement) {
      path.push({ parent: node.parentElement, place: [...node.parentElement.children].indexOf(node), node });
    }
  }

  // A button that was pressed may be gone, hidden or switched off when the answer comes. The focus then goes to what is
  // nearest to where it stood, not to the top of the page.
  function keep() {
    if (document.activeElement !== document.body || !path.length || usable(path[0].node)) return;
    for (const { parent, place } of path) {
      if (!seen(parent)) continue;
      const [before, after] = [[...parent.children].slice(0, place).reverse(), [...parent.children].slice(place)];
      const found = [...after, ...before].flatMap((node) => [node, ...node.querySelectorAll(FOCUSABLE)]).find((node) => node.matches(FOCUSABLE) && usable(node));
      if (found) return found.focus({ preventScroll: true });
    }
  }

  // Not at once: the browser itself notices only as it draws that what had the focus is hidden.
  let due = 0;
  function soon() {
    due ||= setTimeout(() => {
      due = 0;
      keep();
    }, 50);
  }

  // ---- failed uploads ----

  // What to tell where `upload` threw `problem`: the server's sentence, plain or in JSON, if one came. A server between may
  // answer with a page of its own.
  function refusal({ message }) {
    if (/^File\(s\) exceed/.test(message)) return words.too_large; // Gradio sent nothing
    const answer = message.match(/^HTTP \d+: (.*)$/s)?.[1].trim() ?? "";
    try {
      return JSON.parse(answer).error || words.not_sent;
    } catch {
      return answer && !answer.startsWith("<") ? answer : words.not_sent;
    }
  }

  // ---- which frame ----

  // Puts into `place` the field for a file of several frames; `pick(whole, number)` is called when another one is wanted.
  // Returns what shows the field: it takes {whole, frames, frame}, the whole file, how many it holds and which is open, or null.
  function frameField(place, pick) {
    const [label, name, input, note] = ["label", "span", "input", "small"].map((tag) => document.createElement(tag));
    Object.assign(input, { type: "number", min: 1, step: 1, inputMode: "numeric" });
    note.textContent = words.alone;
    label.append(name, input);
    let open = null;
    input.addEventListener("change", () => {
      const number = input.valueAsNumber;
      if (number !== open.frame && input.checkValidity()) pick(open.whole, number);
      else input.value = open.frame;
    });
    return (pages) => {
      open = pages;
      if (!pages) return place.replaceChildren();
      if (!place.firstChild) place.append(label, note);
      name.textContent = words.frame.replace("{count}", pages.frames);
      Object.assign(input, { max: pages.frames, value: pages.frame });
    };
  }

  // ---- from tab to tab ----

  const takers = {}; // by tab: what takes a picture there
  const handed = {}; // pictures whose tab is yet to be drawn

  // Opens a tab with a picture that lies on the server.
  function hand(name, file) {
    if (takers[name]) takers[name](file);
    else handed[name] = file;
    tabs().find((tab) => tab.dataset.tabId === name)?.click();
  }

  function taker(name, take) {
    takers[name] = take;
    if (handed[name]) take(handed[name]);
    delete handed[name];
  }

  // ---- files dropped on a tab ----

  const hasFiles = (data) => data?.types.includes("Files");

  // `take` gets what is dropped on the tab; `root` shows that it would be taken.
  function dropzone(tab, root, take) {
    tab.addEventListener("dragover", (event) => {
      if (!hasFiles(event.dataTransfer)) return;
      event.preventDefault();
      root.classList.add("dropping");
    });
    tab.addEventListener("dragleave", (event) => {
      if (!tab.contains(event.relatedTarget)) root.classList.remove("dropping");
    });
    tab.addEventListener("drop", (event) => {
      root.classList.remove("dropping");
      if (!hasFiles(event.dataTransfer)) return;
      event.preventDefault();
      take(event.dataTransfer);
    });
  }

  // ---- standing still ----

  const STILL = 150; // ms without a change; Gradio adds part after part, each of which moves those below it
  const LATEST = 6000; // ms after the first part: then it is shown as it is

  // The names of the parts that are drawn below a node of Gradio's layout at first.
  const byId = new Map(parts.map((part) => [part.id, part]));
  function drawn({ id, children = [] }) {
    const { type, props } = byId.get(id) ?? { props: {} };
    if (props.visible === false) return [];
    const below = type === "accordion" && !props.open ? [] : children.flatMap(drawn);
    return props.elem_id ? [props.elem_id, ...below] : below;
  }

  // Between two parts a slow computer stands still for longer than STILL.
  let expected = null; // the parts of the open tab
  function complete() {
    const at = (node) => (byId.get(node.id)?.props.id === asked() ? node : (node.children ?? []).reduce((found, child) => found ?? at(child), null));
    expected ??= drawn(at(window.gradio_config?.layout ?? {}) ?? {});
    return expected.every((name) => document.getElementById(name));
  }

  let settling = 0;
  const settle = () => document.documentElement.classList.remove("settling");
  function moved() {
    if (!document.documentElement.classList.contains("settling")) return;
    clearTimeout(settling);
    if (complete()) settling = setTimeout(settle, STILL);
  }

  // ---- wiring ----

  window.genrestore = { refusal, frameField, hand, taker, hasFiles, dropzone };
  document.documentElement.classList.add("settling");
  if (frame) frame.props.selected = asked();
  let begun = false;
  new MutationObserver(() => {
    if (!begun && tabs().length) {
      begun = true;
      if (opened() !== asked()) follow();
      setTimeout(settle, LATEST);
    }
    if (begun) {
      tell();
      moved();
    }
    soon();
  }).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ["aria-selected", "disabled", "hidden", "class", "data-state"] });
  addEventListener("popstate", follow);
  addEventListener("focusin", remember);
  addEventListener("focusout", soon);
})(/* words */);
