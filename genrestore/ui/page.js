// What the whole page shares: it is shown once it stands still, the address names the open tab, and the keyboard keeps its
// place. This runs before Gradio has drawn anything, with `WORDS` by language.
(/** @type {(WORDS?: any) => void} */ (WORDS) => {
  const language = languageOf(WORDS);
  const words = WORDS[language];
  document.documentElement.dataset.words = language; // for texts that are there in all languages
  const SAMPLED = ["model", "seed", "truncation", "a", "raw"]; // what the Sample tab writes; an old address names no tab
  const parts = window.gradio_config?.components ?? [];
  const frame = parts.find(({ type }) => type === "tabs");
  const names = parts.filter(({ type }) => type === "tabitem").map(({ props }) => props.id);
  const FIRST = names[0];

  const tabs = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[role="tab"][data-tab-id]')]);
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
  /** @type {(node: HTMLElement & { disabled?: boolean }) => boolean} */
  const usable = (node) => !node.disabled && node.tabIndex >= 0 && !node.closest("[inert]") && seen(node);
  /** @type {(node: Element) => boolean} */
  const seen = (node) => node.isConnected && node.checkVisibility({ visibilityProperty: true });
  /** @type {{ parent: Element, place: number, node: HTMLElement }[]} */
  let path = []; // where the focus stands: its node and all above, each with its number among its siblings

  /** @type {(event: FocusEvent) => void} */
  function remember({ target }) {
    path = [];
    for (let node = /** @type {HTMLElement | null} */ (target); node !== document.body && node?.parentElement; node = node.parentElement) {
      path.push({ parent: node.parentElement, place: [...node.parentElement.children].indexOf(node), node });
    }
  }

  // A button that was pressed may be gone, hidden or switched off when the answer comes. The focus then goes to what is
  // nearest to where it stood, not to the top of the page.
  function keep() {
    if (document.activeElement !== document.body || !path.length || usable(path[0].node)) return;
    for (const { parent, place } of path) {
      if (!seen(parent)) continue;
      const beside = [...parent.children];
      const near = [...beside.slice(place), ...beside.slice(0, place).reverse()].flatMap((node) => [node, ...node.querySelectorAll(FOCUSABLE)]);
      const found = /** @type {HTMLElement[]} */ (near).find((node) => node.matches(FOCUSABLE) && usable(node));
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
  /** @type {Genrestore["refusal"]} */
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
  /** @type {Genrestore["frameField"]} */
  function frameField(place, pick) {
    const [label, name, note] = ["label", "span", "small"].map((tag) => document.createElement(tag));
    const input = Object.assign(document.createElement("input"), { type: "number", min: 1, step: 1, inputMode: "numeric" });
    note.textContent = words.alone;
    label.append(name, input);
    /** @type {Pages | null} */
    let open = null;
    input.addEventListener("change", () => {
      if (!open) return;
      const number = input.valueAsNumber;
      if (number !== open.frame && input.checkValidity()) pick(open.whole, number);
      else input.valueAsNumber = open.frame;
    });
    return (pages) => {
      open = pages;
      if (!pages) return place.replaceChildren();
      if (!place.firstChild) place.append(label, note);
      name.textContent = words.frame.replace("{count}", String(pages.frames));
      Object.assign(input, { max: pages.frames, value: pages.frame });
    };
  }

  // ---- from tab to tab ----

  /** @type {Record<string, (file: ServerFile) => void>} */
  const takers = {}; // by tab: what takes a picture there
  /** @type {Record<string, ServerFile>} */
  const handed = {}; // pictures whose tab is yet to be drawn

  // Opens a tab with a picture that lies on the server.
  /** @type {Genrestore["hand"]} */
  function hand(name, file) {
    if (takers[name]) takers[name](file);
    else handed[name] = file;
    tabs().find((tab) => tab.dataset.tabId === name)?.click();
  }

  /** @type {Genrestore["taker"]} */
  function taker(name, take) {
    takers[name] = take;
    if (handed[name]) take(handed[name]);
    delete handed[name];
  }

  // ---- files dropped on a tab ----

  /** @type {Genrestore["hasFiles"]} */
  const hasFiles = (data) => Boolean(data?.types.includes("Files"));

  // `take` gets what is dropped on the tab; `root` shows that it would be taken.
  /** @type {Genrestore["dropzone"]} */
  function dropzone(tab, root, take) {
    tab.addEventListener("dragover", (event) => {
      if (!hasFiles(event.dataTransfer)) return;
      event.preventDefault();
      root.classList.add("dropping");
    });
    tab.addEventListener("dragleave", (event) => {
      if (!tab.contains(/** @type {Node | null} */ (event.relatedTarget))) root.classList.remove("dropping");
    });
    tab.addEventListener("drop", (event) => {
      root.classList.remove("dropping");
      if (!event.dataTransfer || !hasFiles(event.dataTransfer)) return;
      event.preventDefault();
      take(event.dataTransfer);
    });
  }

  // ---- standing still ----

  const STILL = 150; // ms without a change; Gradio adds part after part, each of which moves those below it
  const LATEST = 6000; // ms after the first part: then it is shown as it is

  // The names of the parts that are drawn below a node of Gradio's layout at first.
  /** @type {Map<number, any>} */
  const byId = new Map(parts.map((part) => [part.id, part]));
  /** @type {(node: any) => string[]} */
  function drawn({ id, children = [] }) {
    const { type, props } = byId.get(id) ?? { props: {} };
    if (props.visible === false) return [];
    const below = type === "accordion" && !props.open ? [] : children.flatMap(drawn);
    return props.elem_id ? [props.elem_id, ...below] : below;
  }

  // Between two parts a slow computer stands still for longer than STILL.
  /** @type {string[] | null} */
  let expected = null; // the parts of the open tab
  function complete() {
    /** @type {(node: any) => any} */
    const at = (node) => (byId.get(node.id)?.props.id === asked() ? node : (node.children ?? []).reduce((/** @type {any} */ found, /** @type {any} */ child) => found ?? at(child), null));
    expected ??= drawn(at(window.gradio_config?.layout ?? {}) ?? {});
    return expected.every((name) => document.getElementById(name));
  }

  let settling = 0;
  let rest = () => {};
  const settled = new Promise((resolve) => (rest = () => resolve(null)));
  function settle() {
    document.documentElement.classList.remove("settling");
    rest();
  }
  function moved() {
    if (!document.documentElement.classList.contains("settling")) return;
    clearTimeout(settling);
    if (complete()) settling = setTimeout(settle, STILL);
  }

  // ---- wiring ----

  window.genrestore = { refusal, frameField, hand, taker, hasFiles, dropzone, settled };
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
