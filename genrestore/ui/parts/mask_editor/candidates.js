// ---- other fills of what was repaired ----
//
// A scene that a repair made of pieces knows what it was `made` of: the scenes before and after that repair, and the marks. It
// holds `fills`: for each wide part, by its number, the offers the server told and where they disagree. Taking an offer makes
// another scene that knows the same; its `chosen` says which kind each part shows.

const strip = find(".candidates");
/** @type {{ scene: Refillable, run: string } | null} */
let sought = null; // the scene for which other fills are wanted, and the name of that work
/** @type {{ offer: Offer, scene: Scene } | null} */
let taking = null; // the offer that is being put into the picture
let guessing = false; // where the fills disagree is shown

// Has other fills made of the repair that made what is shown.
function seek() {
  const { made, chosen = {} } = picture.scene;
  if (!made) return;
  sought = { scene: Object.assign(picture.scene, { made, chosen, fills: { parts: [], told: 0, complete: false } }), run: named() };
  trigger("others");
  showFills();
}

// The same of a scene whose other fills a reload lost.
async function seekAgain() {
  const { scene } = picture;
  if (!scene.made || scene.fills) return;
  await Promise.all([scene.made.before, scene.made.after].map(renew));
  if (scene === picture.scene && !pending) seek();
}

// No more of them are wanted: something else is done now.
function leave() {
  if (!sought) return;
  server.stop(sought.run).catch(() => {});
  sought.scene.fills.complete = true;
  sought = null;
  showFills();
}

// What the server is asked with.
async function othersAsked() {
  if (!sought) return null;
  const { scene, run } = sought;
  const { before, after, marks } = scene.made;
  return { ...(await value()), ...marks, state: before.state, after: after.state, of: scene.id, run };
}

// What the server tells: all offers so far, and where the fills of a part disagree, for an answer may be lost when two come at
// once; at last that these are all.
/** @type {(answer: { of: number, offers: (Offer & { guesses?: string })[], complete?: boolean }) => Promise<void>} */
async function found({ of, offers, complete }) {
  const scene = picture && allScenes().find(({ id, fills }) => id === of && fills);
  const fills = scene?.fills;
  if (!fills) return;
  const { told } = fills;
  fills.told = Math.max(told, offers.length);
  for (const { part: number, guesses, ...offer } of offers.slice(told)) {
    const part = (fills.parts[number] ??= { offers: [], guesses: null });
    if (guesses) part.guesses = { at: offer.at, bitmap: await createImageBitmap(await (await fetch(guesses)).blob()) };
    else part.offers.push({ part: number, ...offer });
  }
  if (complete) fills.complete = true;
  if (complete && sought?.scene === scene) sought = null;
  showFills();
  if (guessing) draw();
}

// Shows an offer in its part's place.
/** @type {(offer: Offer) => void} */
function choose(offer) {
  if (pending || taking) return;
  taking = { offer, scene: picture.scene };
  trigger("take");
  showFills();
}

async function takeAsked() {
  return taking && { ...(await value()), fill: taking.offer.fill };
}

// No answer came.
function untaken() {
  if (taking) took({ of: taking.scene.id, untaken: words.failed });
}

/** @type {(answer: { of: number, taken?: Scene, untaken?: string }) => Promise<void>} */
async function took({ of, taken, untaken }) {
  const { offer, scene } = taking ?? {};
  taking = null;
  if (scene?.id === of && scene === picture?.scene) {
    if (untaken) complain(untaken);
    const { how, made, fills, chosen } = scene;
    if (taken && offer) await replace({ ...taken, how, made, fills, chosen: { ...chosen, [offer.part]: offer.kind } });
  }
  showFills();
}

function showFills() {
  const scene = picture?.scene;
  const fills = scene?.fills;
  const parts = (fills?.parts ?? []).filter((part) => part?.offers.length > 1);
  strip.hidden = Boolean(mask?.count) || (!parts.length && !(fills && !fills.complete)); // new marks are for another repair
  if (strip.hidden || !fills) return;
  const held = strip.contains(document.activeElement) && document.activeElement.dataset.fill;
  const groups = parts.map((part) => {
    const group = Object.assign(document.createElement("div"), { className: "fills" });
    group.append(...part.offers.map((offer) => thumbnail(offer, /** @type {Refillable} */ (scene))));
    return group;
  });
  const wait = Object.assign(document.createElement("p"), { className: "hint", textContent: words.seeking });
  strip.replaceChildren(...groups, ...(fills.complete ? [] : [wait]));
  if (parts.some((part) => part.guesses)) strip.append(guessButton());
  if (held) find(`[data-fill="${held}"]`)?.focus({ preventScroll: true });
}

/** @type {(offer: Offer, scene: Refillable) => HTMLButtonElement} */
function thumbnail(offer, scene) {
  const shown = scene.chosen[offer.part] ?? fillsOf(scene, offer.part)[0].kind;
  const node = Object.assign(document.createElement("button"), { type: "button", disabled: Boolean(pending) });
  node.dataset.fill = `${offer.part} ${offer.kind}`;
  node.classList.toggle("waits", taking?.offer === offer);
  node.setAttribute("aria-pressed", shown === offer.kind);
  const image = Object.assign(new Image(), { src: offer.thumbnail, alt: "" });
  node.append(image, Object.assign(document.createElement("span"), { textContent: words[`fill_${offer.kind}`] }));
  node.addEventListener("click", () => shown !== offer.kind && choose(offer));
  return node;
}

/** @type {(scene: Refillable, part: number) => Offer[]} */
const fillsOf = (scene, part) => scene.fills.parts[part].offers;

function guessButton() {
  const node = Object.assign(document.createElement("button"), { type: "button", className: "guess", textContent: words.guesses, title: words.guesses_hint });
  node.dataset.fill = "guess";
  node.setAttribute("aria-pressed", guessing);
  node.addEventListener("click", () => {
    guessing = !guessing;
    showFills();
    draw();
  });
  return node;
}

// Lays a colour over what was guessed, on the canvas of the photo.
/** @type {(context: CanvasRenderingContext2D) => void} */
function drawGuesses(context) {
  if (!guessing || holding) return;
  const scale = view.scale * devicePixelRatio;
  for (const part of picture.scene.fills?.parts ?? []) {
    if (!part?.guesses) continue;
    const { at: [top, left], bitmap } = part.guesses;
    const [x, y] = [view.x * devicePixelRatio + left * scale, view.y * devicePixelRatio + top * scale];
    context.drawImage(bitmap, x, y, bitmap.width * scale, bitmap.height * scale);
  }
}
