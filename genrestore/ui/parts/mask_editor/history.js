// ---- history: strokes and repairs, step by step ----
//
// A scene is what the stage shows of the picture: the photo as it was opened, or what a repair made of it. It holds bitmaps,
// `large` and `small`, null where they were let go and must be fetched again. One that a repair made also holds what the
// server told of it, see MaskEditor.answer: `state`, from which the next repair starts, `file` to download, `shown`, which
// browsers draw as that file decodes, `kind`, and what is said under the stage; after a reload `kept`, these files from the browser's store.
//
// The steps are those of the mask. One that a repair made holds the scenes before and after it, so that both go back together.

const HELD = 48e6; // pixels of bitmaps that are kept besides the photo's and those that are shown

let scenes = 0; // the number of the newest
/** @type {Scene[]} */
let recent = []; // scenes with bitmaps, the one shown last at the end

// Shows another scene of the picture, and lets go of the bitmaps of those that were not shown for long.
/** @type {(scene: Scene) => void} */
function setScene(scene) {
  picture.scene.awaits = null; // it is asked for anew when it is shown again
  picture.scene = scene;
  recent = [...recent.filter((one) => one !== scene && one.large), scene];
  let pixels = 0;
  for (const one of recent.slice(0, -1).reverse()) {
    pixels += one.large ? one.large.width * one.large.height : 0;
    if (pixels > HELD && one !== picture.original) release(one);
  }
}

/** @type {(scene: Scene) => void} */
function release(scene) {
  scene.large?.close();
  if (scene.small !== scene.large) scene.small?.close();
  Object.assign(scene, { large: null, small: null, blob: null, sharpened: false });
}

// Fetches the bitmaps of a scene that has none.
/** @type {(scene: Scene) => Promise<void>} */
async function load(scene) {
  if (scene.large) return;
  if (scene.kept) await renew(scene);
  scene.blob = scene.kept?.shown ?? (await blobOf(scene.shown.url));
  const { large } = await decode(scene.blob);
  Object.assign(scene, { large, small: large });
  addSmall(scene);
}

// A new scene takes the place of the one that is shown, in one step with the marks that went into it.
/** @type {(scene: Scene, used: Uint8Array) => void} */
function arrive(scene, used) {
  mask.without(used);
  mask.commit({ before: picture.scene, after: scene });
  setScene(scene);
  changed(words.repaired);
  draw();
}

// One step back or forth.
/** @type {(way: "undo" | "redo") => Promise<void>} */
async function travel(way) {
  const steps = way === "undo" ? mask?.done : mask?.undone;
  const step = steps?.at(-1);
  if (!step) return;
  if (step.repair) {
    if (pending) return; // its result belongs to what is shown now
    const scene = step.repair[way === "undo" ? "before" : "after"];
    if (!scene.large && !(await fetched(scene, steps, step))) return;
    setScene(scene);
  }
  mask[way]();
  showGrowth();
  changed(way === "undo" ? words.undone : words.redone);
  settle();
  draw();
  await seekAgain();
}

// Whether the scene could be had, and is still wanted.
/** @type {(scene: Scene, steps: Step[], step: Step) => Promise<boolean>} */
async function fetched(scene, steps, step) {
  const mine = picture;
  veil(words.opening);
  try {
    await load(scene);
  } catch {
    complain(words.expired);
    return false;
  } finally {
    veil("");
  }
  return mine === picture && steps.at(-1) === step && !pending;
}

// All scenes that a step leads to.
/** @type {() => Scene[]} */
const allScenes = () => [picture.scene, ...[...mask.done, ...mask.undone].flatMap(({ repair }) => (repair ? [repair.before, repair.after] : []))];
