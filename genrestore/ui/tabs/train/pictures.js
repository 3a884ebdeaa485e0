// Where the Train tab takes its pictures from: a folder with its sub-folders, many files, or one archive, chosen or dropped
// anywhere on the tab. One archive goes to the server as it is; all else is packed here into one uncompressed zip, for
// Gradio's upload keeps no folders. Gradio runs this once, with `element`, `props`, `trigger` and `upload`.

const ENTRIES = 65_535; // that a zip without extensions can hold
const DIRECTORY = 22; // bytes at the end of a zip; each entry has 30 + 46 and its name twice
const ARCHIVES = [".zip", ".npz", ".npy"];
const WRITTEN = [".txt", ".csv", ".jsonl"]; // captions
const UTF8 = 0x0800; // flag of an entry: its name is UTF-8
const DAY = 0x0021; // 1 January 1980: the same pictures give the same zip

/** @type {Find} */
const find = (query) => element.querySelector(query);
const words = props.words[languageOf(props.words)];
/** @type {(key: string, values?: Record<string, unknown>) => string} */
const say = (key, values = {}) => words[key].replace(/{(\w+)}/g, (_, name) => String(values[name]));

const root = find(".pictures");
const tab = element.closest('[role="tabpanel"]') ?? element;
const bar = find("progress");
/** @type {(name: string) => string} */
const suffix = (name) => (name.match(/\.\w+$/)?.[0] ?? "").toLowerCase();
let newest = 0; // number of the choice that counts; an older one that ends late is dropped

class Problem extends Error {} // whose message is for the visitor

/** @typedef {{ path: string, file: File }} Chosen */

// ---- zip ----

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/** @type {(bytes: Uint8Array) => number} */
function crc32(bytes) {
  let rest = ~0;
  for (let k = 0; k < bytes.length; k += 1) rest = table[(rest ^ bytes[k]) & 255] ^ (rest >>> 8);
  return ~rest >>> 0;
}

// Little-endian fields, given as [bytes, value].
/** @type {(...pairs: [number, number][]) => ArrayBuffer} */
function fields(...pairs) {
  const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of pairs) {
    if (size === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += size;
  }
  return view.buffer;
}

// The files, given as {path, file}, as one zip. It refers to them, so that memory holds one file at a time.
/** @type {(entries: Chosen[], told: (share: number) => boolean) => Promise<Blob | null>} */
async function zip(entries, told) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [k, { path, file }] of entries.entries()) {
    const name = new TextEncoder().encode(path);
    let content;
    try {
      content = new Uint8Array(await file.arrayBuffer());
    } catch {
      throw new Problem(say("unreadable", { name: path }));
    }
    /** @type {[number, number][]} */
    const facts = [[2, UTF8], [2, 0], [2, 0], [2, DAY], [4, crc32(content)], [4, content.length], [4, content.length], [2, name.length], [2, 0]];
    const head = fields([4, 0x04034b50], [2, 20], ...facts);
    parts.push(head, name, file);
    directory.push(fields([4, 0x02014b50], [2, 20], [2, 20], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), name);
    offset += head.byteLength + name.length + content.length;
    if (!told((k + 1) / entries.length)) return null;
  }
  const size = directory.reduce((sum, part) => sum + part.byteLength, 0);
  const end = fields([4, 0x06054b50], [2, 0], [2, 0], [2, entries.length], [2, entries.length], [4, size], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

// ---- what was chosen or dropped, as [{path, file}] ----

/** @type {(files: Iterable<File>) => Chosen[]} */
const chosen = (files) => [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

// A dropped item is there until the event ends only, so each is asked for its entry at once.
/** @type {(items: DataTransferItemList) => Promise<Chosen[]>} */
function dropped(items) {
  const asked = [...items].filter(({ kind }) => kind === "file").map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  return Promise.all(asked.map(({ entry, file }) => (entry ? below(entry, "") : chosen(file ? [file] : [])))).then((lists) => lists.flat());
}


/** @type {(entry: FileSystemEntry, folder: string) => Promise<Chosen[]>} */
async function below(entry, folder) {
  const path = folder + entry.name;
  if (entry.isFile) return [{ path, file: await new Promise((...settle) => /** @type {FileSystemFileEntry} */ (entry).file(...settle)) }];
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const inside = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // at most 100 at a time
    if (!some.length) break;
    for (const one of some) inside.push(...(await below(one, `${path}/`)));
  }
  return inside;
}

// ---- from there to the server ----

// What goes to the server: {file, pictures, others}.
/** @type {(found: Chosen[], told: (share: number) => boolean) => Promise<{ file: File, pictures?: number, others?: number } | null>} */
async function packed(found, told) {
  if (found.length === 1 && ARCHIVES.includes(suffix(found[0].path))) {
    fits(found[0].file.size);
    return { file: found[0].file };
  }
  const seen = found.filter(({ path }) => !path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX"));
  const kept = seen.filter(({ path }) => props.suffixes.includes(suffix(path)) || WRITTEN.includes(suffix(path)));
  const pictures = kept.filter(({ path }) => props.suffixes.includes(suffix(path))).length;
  if (!pictures) throw new Problem(say("no_picture", { suffixes: [...props.suffixes, ...ARCHIVES].join(" ") }));
  if (kept.length > ENTRIES) throw new Problem(say("too_many", { count: kept.length.toLocaleString() }));
  fits(kept.reduce((sum, { path, file }) => sum + file.size + 76 + 2 * new TextEncoder().encode(path).length, DIRECTORY));
  const name = lead(kept);
  const entries = kept.map(({ path, file }) => ({ path: name ? path.slice(name.length + 1) : path, file }));
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  const blob = await zip(entries, told);
  return blob && { file: new File([blob], `${name || "pictures"}.zip`), pictures, others: found.length - pictures };
}

// The one folder that holds all; it names the pictures, and the folders in it are their classes.
/** @type {(entries: Chosen[]) => string} */
function lead(entries) {
  const first = entries[0].path.split("/")[0];
  return entries.every(({ path }) => path.startsWith(`${first}/`)) ? first : "";
}

/** @type {(bytes: number) => void} */
function fits(bytes) {
  if (bytes > props.limit) throw new Problem(say("too_large", { size: gigabytes(bytes), limit: gigabytes(props.limit) }));
}

/** @type {(bytes: number) => string} */
const gigabytes = (bytes) => (bytes < 2 ** 30 ? `${Math.ceil(bytes / 2 ** 20)} MB` : `${(bytes / 2 ** 30).toFixed(1)} GB`);

/** @type {(found: Chosen[] | Promise<Chosen[]>) => Promise<void>} */
async function take(found) {
  const number = ++newest;
  const counts = () => number === newest;
  show({ lead: words.reading, busy: true });
  try {
    /** @type {(share: number) => boolean} */
    const told = (share) => {
      if (counts()) show({ lead: say("packing", { percent: Math.round(100 * share) }), busy: true, share });
      return counts();
    };
    const sent = await packed(await found, told);
    if (!sent || !counts()) return;
    const { file, pictures = 0, others = 0 } = sent;
    show({ lead: say("sending", { size: gigabytes(file.size) }), busy: true });
    const { path } = await upload(file);
    if (!counts()) return;
    props.value = { file: { path, orig_name: file.name, size: file.size, meta: { _type: "gradio.FileData" } } };
    const note = others ? say("packed_others", { count: pictures.toLocaleString(), others: others.toLocaleString() }) : pictures ? say("packed", { count: pictures.toLocaleString() }) : "";
    show({ lead: file.name, hint: words.change, note });
    trigger("upload");
  } catch (problem) {
    if (!counts()) return;
    show({ problem: problem instanceof Problem ? problem.message : genrestore.refusal(problem) });
  }
}

/** @type {(what: { lead?: string, hint?: string, note?: string, problem?: string, busy?: boolean, share?: number | null }) => void} */
function show({ lead: title = words.drop, hint = "", note = "", problem = "", busy = false, share = null }) {
  root.classList.toggle("busy", busy);
  find(".lead").textContent = title;
  find(".hint").textContent = hint || (busy ? "" : words.kinds);
  find(".note").textContent = note;
  find(".problem").textContent = problem;
  bar.hidden = !busy;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

// ---- events ----


for (const node of element.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
for (const kind of ["folder", "files"]) {
  const input = find(`input.${kind}`);
  find(`[data-do=${kind}]`).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const found = chosen(input.files ?? []);
    input.value = ""; // the same may be chosen again
    if (found.length) take(found);
  });
}
find("input.files").accept = [...props.suffixes, ...ARCHIVES, ...WRITTEN].join(",");
bar.ariaLabel = words.reading;
genrestore.dropzone(tab, root, ({ items }) => take(dropped(items)));
show({});
