// ---- keeping: a reload, or a way back to the page, finds photo, marks and result again ----
//
// They lie in the browser's own store and nowhere else, each browser tab's apart, until another photo is chosen or they are
// old. Files that the server has lost by then are sent to it anew.

const STORED = { bytes: 256 * 2 ** 20, hours: 12 };
const PARTS = ["photo", "mask", "scene"];
let restoring = false;

// Calls act(store) with the browser's store. Where there is none, or no room, nothing is kept.
async function withStore(mode, act) {
  try {
    const base = await settled(Object.assign(indexedDB.open("genrestore-stage", 1), { onupgradeneeded: ({ target }) => target.result.createObjectStore("parts") }));
    try {
      return await act(base.transaction("parts", mode).objectStore("parts"));
    } finally {
      base.close();
    }
  } catch {
    return null;
  }
}

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

// The name of this browser tab, by which it finds its own again.
function owner() {
  try {
    return (sessionStorage.genrestoreStage ??= crypto.getRandomValues(new Uint32Array(2)).join("-"));
  } catch {
    return "";
  }
}

const keep = (part, content) =>
  owner() && withStore("readwrite", (store) => settled(content ? store.put({ ...content, time: Date.now() }, `${owner()} ${part}`) : store.delete(`${owner()} ${part}`)));

async function forget() {
  for (const part of PARTS) await keep(part, null);
}

async function keepPhoto() {
  const { blob, name, file, pages } = picture;
  await forget();
  if (blob && blob.size <= STORED.bytes) await keep("photo", { blob, name, file: pages?.whole ?? file, frame: pages?.frame });
}

const keepMask = async (url) => !restoring && keep("mask", { blob: await blobOf(url) });

const blobOf = async (url) => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(words.lost);
  return answer.blob();
};

// The result that is shown, with its files.
async function keepScene() {
  const scene = picture.scene;
  if (restoring) return;
  if (!scene.state) return keep("scene", null);
  try {
    const base = await blobOf(scene.state.base.url);
    const shown = scene.blob;
    const file = scene.shown.path === scene.file.path ? shown : await blobOf(scene.file.url);
    if (scene !== picture.scene || base.size + shown.size + file.size > STORED.bytes) return;
    const { state, kind, line, counts, how, notes } = scene;
    await keep("scene", { state, kind, line, counts, how, notes, name: scene.file.orig_name, files: { file: scene.file, shown: scene.shown }, blobs: { base, shown, file } });
  } catch {
    await keep("scene", null); // not another one's
  }
}

// What this browser tab kept; what is old, of any, goes.
const recall = () =>
  withStore("readwrite", async (store) => {
    const [keys, all] = await Promise.all([settled(store.getAllKeys()), settled(store.getAll())]);
    keys.forEach((key, place) => Date.now() - all[place].time > STORED.hours * 3.6e6 && store.delete(key));
    return Object.fromEntries(PARTS.map((part) => [part, all[keys.indexOf(`${owner()} ${part}`)]]));
  });

// The file on the server, or null where it is lost.
async function still(file) {
  const answer = file && (await fetch(file.url, { method: "HEAD" }).catch(() => null));
  return answer?.ok ? file : null;
}

async function restore() {
  const { photo, mask: marks, scene } = (await recall()) ?? {};
  const file = photo && (await still(photo.file));
  if (!photo || opened) return; // or another one is there by now
  restoring = true;
  root.classList.add("restoring");
  try {
    const { blob, name, frame } = photo;
    await (frame ? openFrame(file ?? (await send(blob, name)), name, frame, blob) : open(blob, name, file));
    const mine = picture;
    if (opened > 1 || !mine?.file) return;
    const before = scene && (await restored(scene));
    const bits = marks && (await readBits(await dataUrl(marks.blob)));
    if (mine !== picture) return;
    if (before) {
      edit(words.mask_loaded, () => mask.replace(before.touched));
      chooser.value = before.made.kind;
      arrive(before.made, before.touched);
      addSmall(before.made);
    }
    if (bits) edit(words.mask_loaded, () => mask.replace(bits));
  } catch {
    // what could be had is there
  } finally {
    restoring = false;
    root.classList.remove("restoring");
  }
}

// The scene that was kept, and what repairs had filled in it: one step back from it lies the photo.
async function restored({ files, blobs, name, state, ...said }) {
  const again = async (file, blob, name) => (await still(file)) ?? send(blob, name);
  const base = await again(state.base, blobs.base, "base.png");
  const file = await again(files.file, blobs.file, name);
  const shown = files.shown.path === files.file.path ? file : await again(files.shown, blobs.shown, "shown");
  const { large } = await decode(blobs.shown);
  const made = { ...said, id: ++scenes, state: { ...state, base }, file, shown, blob: blobs.shown, large, small: large };
  return { made, touched: await readBits(state.touched) };
}
