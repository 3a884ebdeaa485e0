// ---- keeping: a reload, or a way back to the page, finds photo, marks and results again, and the way back through them ----
//
// They lie in the browser's own store and nowhere else, each browser tab's apart, until another photo is chosen or they are
// old: the photo, each step and each scene as a record of its own, and "stage", which says how they belong together. What
// changes is written in one transaction, so that they always fit each other. Files that the server has lost by then are sent
// to it anew.

const STORED = { bytes: 256 * 2 ** 20, hours: 12 }; // of one browser tab; the newest scenes and steps are kept
let restoring = false;
/** @type {Map<string, number>} */
let stored = new Map(); // bytes of what lies in the store of this picture, by the names of the records
/** @type {Promise<unknown>} */
let turn = Promise.resolve(); // what is written is written one after the other
/** @type {Moment | null} */
let newest = null; // the moment that was to be kept last

// Calls act(store) in one transaction and gives what it returns, or true; null where there is no store, or no room: then
// nothing of it was done.
/** @type {<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => Promise<T> | T) => Promise<T | true | null>} */
async function withStore(mode, act) {
  try {
    const base = await settled(Object.assign(indexedDB.open("genrestore-stage", 1), { onupgradeneeded: /** @type {(event: any) => void} */ ({ target }) => target.result.createObjectStore("parts") }));
    const change = base.transaction("parts", mode);
    const complete = new Promise((resolve, reject) => Object.assign(change, { oncomplete: resolve, onabort: () => reject(change.error) }));
    complete.catch(() => {});
    try {
      const found = (await act(change.objectStore("parts"))) ?? true;
      await complete;
      return found;
    } catch (problem) {
      change.abort(); // throws where it has ended by itself
      throw problem;
    } finally {
      base.close();
    }
  } catch {
    return null;
  }
}

/** @type {<T>(request: IDBRequest<T>) => Promise<T>} */
const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @type {(act: () => unknown) => Promise<unknown>} */
const inTurn = (act) => (turn = turn.then(act).catch(() => {}));

// The name of this browser tab, by which it finds its own again.
function owner() {
  try {
    return (sessionStorage.genrestoreStage ??= crypto.getRandomValues(new Uint32Array(2)).join("-"));
  } catch {
    return "";
  }
}

/** @type {(name: string) => string} */
const key = (name) => `${owner()} ${name}`;
/** @type {(whose: string) => IDBKeyRange} */
const all = (whose) => IDBKeyRange.bound(`${whose} `, `${whose}!`, false, true); // "!" follows the blank

const forget = () =>
  inTurn(async () => {
    stored = new Map();
    if (owner()) await withStore("readwrite", (store) => settled(store.delete(all(owner()))));
  });

function keepPhoto() {
  const { blob, name, file, pages } = picture;
  forget();
  return inTurn(async () => {
    if (!owner() || !blob || blob.size > STORED.bytes) return;
    const content = { blob, name, file: pages?.whole ?? file, frame: pages?.frame, time: Date.now() };
    if (await withStore("readwrite", (store) => settled(store.put(content, key("photo"))))) stored.set("photo", blob.size);
  });
}

/** @type {(url: string) => Promise<Blob>} */
const blobOf = async (url) => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(words.lost);
  return answer.blob();
};

// What a reload is to find, as it is now; null while a stroke is drawn.
/** @type {() => Moment | null} */
function moment() {
  if (shape) return null;
  return { of: picture, scene: picture.scene, growth: mask.growth, done: [...mask.done], undone: [...mask.undone] };
}

// Keeps a moment; `urls` are its marks, see `value`. Where the store has too little room, less of the way back.
/** @type {(now: Moment | null, urls: (string | null)[]) => void} */
function keepMoment(now, urls) {
  if (!now || restoring) return;
  newest = now;
  const blobs = new Map(); // of scenes, once they are fetched
  inTurn(async () => {
    if (now !== newest || now.of !== picture || !stored.has("photo")) return;
    const marks = await Promise.all(urls.map((url) => (url ? blobOf(url) : null)));
    for (const bytes of [STORED.bytes, STORED.bytes / 4]) if (await written(now, marks, bytes - bytesStored("photo"), blobs)) return;
  });
}

/** @type {(name: string) => number} */
const bytesStored = (name) => stored.get(name) ?? 0;

let steps = 0; // the number of the newest step that was kept
/** @type {(step: Step) => number} */
const bytesOf = ({ flips }) => flips.reduce((sum, { pixels }) => sum + pixels.length, 0);

// Writes as much of a moment as `room` holds, the newest first. Whether it could.
/** @type {(now: Moment, marks: (Blob | null)[], room: number, blobs: Map<Scene, Kept | null>) => Promise<boolean>} */
async function written(now, marks, room, blobs) {
  const records = new Map([["photo", bytesStored("photo")]]); // bytes of what is to lie there in the end
  const contents = new Map(); // of those that do not yet
  /** @type {(scene: Scene) => number | null} */
  const nameOf = (scene) => (scene === now.of.original ? null : scene.id);
  /** @type {(name: string, bytes: number, content: unknown) => boolean} */
  const take = (name, bytes, content) => {
    if (records.has(name)) return true;
    if (bytes > room) return false;
    room -= bytes;
    records.set(name, bytes);
    if (!stored.has(name)) contents.set(name, content);
    return true;
  };
  /** @type {(scene: Scene) => Promise<boolean>} */
  const takeScene = async (scene) => {
    if (scene === now.of.original) return true;
    const name = `scene ${scene.id}`;
    if (stored.has(name)) return take(name, bytesStored(name), null);
    if ((scene.bytes ?? 0) > room) return false; // which it was fetched for once
    if (!blobs.has(scene)) blobs.set(scene, await filesOf(scene).catch(() => null));
    const kept = blobs.get(scene);
    if (!kept) return false;
    const { id, state, kind, line, counts, how, notes, file, shown, chosen } = scene;
    const made = scene.made && { before: nameOf(scene.made.before), after: nameOf(scene.made.after), marks: scene.made.marks };
    scene.bytes = kept.base.size + kept.shown.size + kept.file.size;
    return take(name, scene.bytes, { id, state, kind, line, counts, how, notes, file, shown, chosen, made, kept });
  };
  /** @type {(from: Step[]) => Promise<string[]>} */
  const takeSteps = async (from) => {
    const names = [];
    for (const step of from.toReversed()) {
      const { repair } = step;
      if (repair && !((await takeScene(repair.after)) && (await takeScene(repair.before)))) break;
      const name = `step ${(step.number ??= ++steps)}`;
      if (!take(name, bytesOf(step), { ...step, repair: repair && { before: nameOf(repair.before), after: nameOf(repair.after) } })) break;
      names.unshift(name);
    }
    return names;
  };
  if (!(await takeScene(now.scene))) return false;
  const { growth } = now;
  const stage = { marks, growth, scene: nameOf(now.scene), done: await takeSteps(now.done), undone: await takeSteps(now.undone), time: Date.now() };
  records.set("stage", 0);
  contents.set("stage", stage);
  const done = await withStore("readwrite", (store) => {
    for (const [name, content] of contents) store.put(content, key(name));
    for (const name of stored.keys()) if (!records.has(name)) store.delete(key(name));
  });
  if (done) stored = records;
  return Boolean(done);
}

// The files of a scene as the server has them.
/** @type {(scene: Scene) => Promise<Kept>} */
async function filesOf(scene) {
  if (scene.kept) return scene.kept;
  const base = await blobOf(/** @type {NonNullable<Scene["state"]>} */ (scene.state).base.url);
  const shown = scene.blob ?? (await blobOf(scene.shown.url));
  return { base, shown, file: scene.shown.path === scene.file.path ? shown : await blobOf(scene.file.url) };
}

// A scene has other files now.
/** @type {(scene: Scene) => void} */
function keepAnew(scene) {
  Object.assign(scene, { kept: null, bytes: 0 });
  inTurn(() => stored.delete(`scene ${scene.id}`));
  publish();
}

// What this browser tab kept, by name; what is old, of any, goes.
/** @type {() => Promise<any>} */
const recall = () =>
  withStore("readwrite", async (store) => {
    for (const name of /** @type {string[]} */ (await settled(store.getAllKeys()))) {
      const [whose, part] = name.split(" ");
      if (part !== "photo") continue;
      const times = await Promise.all([settled(store.get(name)), settled(store.get(`${whose} stage`))]);
      if (Date.now() - Math.max(...times.map((kept) => kept?.time ?? 0)) > STORED.hours * 3.6e6) store.delete(all(whose));
    }
    const [names, found] = await Promise.all([settled(store.getAllKeys(all(owner()))), settled(store.getAll(all(owner())))]);
    return Object.fromEntries(names.map((name, place) => [String(name).slice(key("").length), found[place]]));
  });

// The file on the server, or null where it is lost.
/** @type {(file: ServerFile | null) => Promise<ServerFile | null>} */
async function still(file) {
  const answer = file && (await fetch(file.url, { method: "HEAD" }).catch(() => null));
  return answer?.ok ? file : null;
}

async function restore() {
  const found = (await recall()) ?? {};
  const { photo } = found;
  const file = photo && (await still(photo.file));
  if (!photo || opened) return; // or another one is there by now
  restoring = true;
  root.classList.add("restoring");
  try {
    const { blob, name, frame } = photo;
    await (frame ? openFrame(file ?? (await send(blob, name)), name, frame, blob) : openPicture(blob, name, file));
    if (opened > 1 || !picture?.file) return;
    stored = new Map([["photo", blob.size]]);
    if (found.stage) await restoreStage(found);
  } catch {
    // what could be had is there
  } finally {
    restoring = false;
    root.classList.remove("restoring");
    if (picture) publish();
    genrestore.settled.then(takeKeys);
  }
}

// Has keys act on the stage, if nothing else has the focus; it takes a moment until a page that is shown lets itself be focused.
async function takeKeys() {
  for (let frame = 0; frame < 60 && document.activeElement === document.body; frame++) {
    stage.focus({ preventScroll: true });
    await new Promise(requestAnimationFrame);
  }
}

/** @type {(blob: Blob | null) => Promise<Uint8Array | null>} */
const marksIn = async (blob) => blob && readBits(await dataUrl(blob));

/** @type {(found: any) => Promise<void>} */
async function restoreStage({ stage: kept, ...found }) {
  const mine = picture;
  /** @type {Map<number | null, Scene>} */
  const byId = new Map([[null, mine.original]]);
  for (const [name, content] of Object.entries(found)) if (name.startsWith("scene ")) byId.set(content.id, { ...content, large: null, small: null });
  for (const scene of byId.values()) {
    const { before, after, marks } = /** @type {any} */ (scene.made ?? {});
    scene.made = byId.has(before) && byId.has(after) ? { before: /** @type {Scene} */ (byId.get(before)), after: /** @type {Scene} */ (byId.get(after)), marks } : null;
  }
  const shown = /** @type {Scene} */ (byId.get(kept.scene));
  await load(shown);
  const [marked, painted, forbidden] = await Promise.all(kept.marks.map(marksIn));
  if (mine !== picture || mask.done.length) return; // something else is done by now
  /** @type {(name: string) => Step} */
  const step = (name) => {
    const { repair, ...rest } = found[name];
    return { ...rest, repair: repair && { before: byId.get(repair.before), after: byId.get(repair.after) } };
  };
  const flags = { [MARKED]: marked, [PAINTED]: painted ?? marked, [FORBIDDEN]: forbidden };
  mask.restore(flags, kept.growth, kept.done.map(step), kept.undone.map(step));
  scenes = Math.max(scenes, ...[...byId.keys()].map(Number));
  steps = Math.max(steps, ...[...mask.done, ...mask.undone].map(({ number = 0 }) => number));
  for (const [name, content] of Object.entries(found)) {
    if (content.kept) stored.set(name, content.kept.base.size + content.kept.shown.size + content.kept.file.size);
    if (content.flips) stored.set(name, bytesOf(content));
  }
  if (shown.kind) chooser.value = shown.kind;
  setScene(shown);
  showGrowth();
  told();
  draw();
  await seekAgain();
}

// Has the files of a scene that was kept on the server, as it may have lost them.
/** @type {(scene: Scene) => Promise<void>} */
async function renew(scene) {
  const { state, kept } = scene;
  if (!state || !kept) return;
  const { base, shown, file } = kept;
  /** @type {(known: ServerFile, blob: Blob, name: string) => Promise<ServerFile>} */
  const again = async (known, blob, name) => (await still(known)) ?? send(blob, name);
  const same = scene.shown.path === scene.file.path;
  scene.state = { ...state, base: await again(state.base, base, "base.png") };
  scene.file = await again(scene.file, file, scene.file.orig_name);
  scene.shown = same ? scene.file : await again(scene.shown, shown, "shown");
}
