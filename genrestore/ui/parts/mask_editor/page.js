// ---- what the editor says ----

/** @type {(state: "start" | "camera" | "ready") => void} */
function setState(state) {
  const leaving = document.activeElement.closest(".panel"); // it goes, and the keyboard's place must not
  root.dataset.state = state;
  root.classList.toggle("empty", !picture);
  stage.tabIndex = state === "ready" ? 0 : -1;
  if (state === "ready" && leaving) stage.focus({ preventScroll: true });
  stage.style.aspectRatio = state === "ready" && picture ? `${picture.width} / ${picture.height}` : "";
  stage.style.setProperty("--room", picture ? `${picture.height + 2 * MARGIN}px` : ""); // a small one needs no more
}

function told() {
  const share = (100 * mask.count) / (mask.width * mask.height);
  const digits = share && share < 1 ? 2 : 1;
  const values = { name: picture.name, w: picture.width, h: picture.height, share: share.toFixed(mask.count ? digits : 0) };
  find(".note").textContent = say(mask.count ? words.note : picture.scene.state ? words.note_done : words.note_empty, values);
  enable("undo", mask.done.length);
  enable("redo", mask.undone.length);
  for (const name of ["shrink", "grow", "save"]) enable(name, mask.count);
  enable("clear", mask.count || mask.forbidden);
  sure = false;
  refresh();
}

// A button that is switched off while it has the focus would swallow all keys: the stage takes them.
/** @type {(name: string, on: unknown) => void} */
function enable(name, on) {
  const node = button(name);
  if (!on && node === document.activeElement) stage.focus({ preventScroll: true });
  node.disabled = !on;
}

/** @type {(text: string) => void} */
const veil = (text) => (find(".veil").textContent = text);
/** @type {(text: string) => void} */
const complain = (text) => (find(".problem").textContent = text);
/** @type {(text: string) => void} */
const announce = (text) => (find(".said").textContent = text);

let pause = 0;

// The crosshair's place, once it rests: a screen reader need not hear each step.
function announceSoon() {
  clearTimeout(pause);
  pause = setTimeout(() => {
    if (cross) announce(`${Math.floor(cross.x)}, ${Math.floor(cross.y)}${shape ? `, ${words.pen_down}` : ""}`);
  }, 400);
}

function toggleHelp() {
  const help = find(".help");
  help.hidden = !help.hidden;
  find("[data-do='help'][aria-expanded]").setAttribute("aria-expanded", !help.hidden);
  (help.hidden ? stage : help).focus({ preventScroll: true });
}

function fillHelp() {
  const rows = [
    ["B E R L O W D H", words.help_tools],
    ["[ ]", words.help_size],
    ["G", words.growth],
    ["Ctrl+Z", words.undo],
    ["Ctrl+Y", words.redo],
    ["I", words.invert],
    ["Delete", words.clear],
    ["+ − 0 1", words.help_zoom],
    ["← ↑ → ↓", words.help_arrows],
    ["Shift+←", words.help_fine],
    ["Enter", words.help_pen],
    ["Ctrl+Enter", words.repair],
    ["Q", words.help_before],
    ["Esc", words.help_escape],
    ["Ctrl+V", words.help_paste],
  ];
  /** @type {(keys: string) => string} */
  const term = (keys) => keys.split(" ").map((key) => `<kbd>${key}</kbd>`).join(" ");
  find(".help .keys").innerHTML = rows.map(([keys, text]) => `<dt>${term(keys)}</dt><dd>${text}</dd>`).join("");
  const mouse = [words.help_right, words.help_space].map((text) => `<li class="mouse">${text}</li>`);
  const any = [words.help_object, words.help_wand, words.help_forbid, words.help_pressure, words.help_fingers].map((text) => `<li>${text}</li>`);
  find(".help ul").innerHTML = [...mouse, ...any].join("");
}

// On a phone, what is needed less often.
function toggleMore() {
  button("more").setAttribute("aria-expanded", root.classList.toggle("more"));
}

// ---- wiring ----

/** @type {Record<string, () => unknown>} */
const deeds = {
  choose: () => find(".photo-file").click(),
  camera: openCamera,
  snap,
  leave: () => (closeCamera(), setState("start")),
  start: () => (forget(), setState("start")),
  back: () => (setState("ready"), draw(), keepPhoto(), publish()),
  undo,
  redo,
  help: toggleHelp,
  suggest,
  damage: () => findDamage(),
  old: mendOld,
  more: toggleMore,
  clear: () => edit(words.cleared, () => mask.clear()),
  invert: () => edit(words.inverted, () => mask.invert()),
  shrink: () => spreadBy(false),
  grow: () => spreadBy(true),
  load: () => find(".mask-file").click(),
  save: saveMask,
  in: () => zoomTo(view.scale * NOTCH),
  out: () => zoomTo(view.scale / NOTCH),
  fit,
  actual: () => zoomTo(1 / devicePixelRatio),
  repair,
  stop: cancel,
  wipe: toggleWipe,
  onward: () => genrestore.hand("upscale", picture.scene.file),
};

function wordUp() {
  for (const node of element.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
  for (const node of element.querySelectorAll("[data-label]")) node.setAttribute("aria-label", words[node.dataset.label]);
  for (const node of element.querySelectorAll("[data-key], button[data-label], [data-title]")) {
    const name = words[node.dataset.title ?? node.dataset.label ?? node.dataset.word];
    node.title = node.dataset.key ? `${name} (${node.dataset.key})` : name;
  }
  if (props.label) root.setAttribute("aria-label", props.label);
  fillHelp();
}

function addExamples() {
  for (const { photo: file, mask: marks } of props.value?.examples ?? []) {
    const name = file.path.split(/[\\/]/).pop();
    const node = document.createElement("button");
    node.type = "button";
    const stem = name.replace(/\.\w+$/, "");
    node.title = say(words.example, { name: words[stem] ?? stem });
    node.setAttribute("aria-label", node.title);
    const image = new Image();
    Object.assign(image, { src: file.url, alt: "", loading: "lazy" });
    node.append(image);
    node.addEventListener("click", () => (opening = fetchAndOpen(file, marks && { url: marks.url, says: words[`mark_${stem}`] })));
    find(".examples").append(node);
  }
}

for (const node of element.querySelectorAll("[data-do]")) node.addEventListener("click", () => deeds[node.dataset.do]?.());
for (const node of element.querySelectorAll("[data-tool]")) {
  node.addEventListener("click", () => setTool(node.dataset.tool));
}
/** @type {Record<string, (file: File) => unknown>} */
const inputs = { photo: (file) => start(file, file.name), mask: startMask };
for (const [name, take] of Object.entries(inputs)) {
  find(`input.${name}-file`).addEventListener("change", ({ target }) => {
    const file = target.files?.[0];
    if (file) take(file);
    target.value = ""; // so that the same file can be chosen again
  });
}
wireGrowth();
wireDamage();
wireWand();
slider.addEventListener("input", () => setBrush(largest() ** (slider.valueAsNumber / 100)));
root.addEventListener("keydown", onKey);
root.addEventListener("keyup", (event) => event.key === " " && holdSpace(false));
stage.addEventListener("blur", () => space && holdSpace(false));
stage.addEventListener("pointerdown", onDown);
stage.addEventListener("pointermove", onMove);
stage.addEventListener("pointerup", onUp);
stage.addEventListener("pointercancel", onUp);
stage.addEventListener("pointerleave", () => ((hover = null), drawMarks()));
stage.addEventListener("wheel", onWheel, { passive: false });
stage.addEventListener("contextmenu", (event) => root.dataset.state === "ready" && event.preventDefault());
root.addEventListener("dragover", onDragOver);
root.addEventListener("dragleave", () => root.classList.remove("dropping"));
root.addEventListener("drop", onDrop);
document.addEventListener("paste", onPaste);
new ResizeObserver(draw).observe(stage);

wordUp();
wireStage();
addExamples();
setTool("brush");
setState("start");
refresh();
root.editor = {
  value,
  asked: { repair: asked, others: othersAsked, take: takeAsked },
  failed: { repair: failed, resave: unsaved, take: untaken },
  answered,
  resave,
};
opening = restore();
