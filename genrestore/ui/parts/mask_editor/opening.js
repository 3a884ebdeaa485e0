// ---- opening a picture ----

/** @type {(blob: Blob) => Promise<Bitmaps>} */
async function decode(blob) {
  let large = await createImageBitmap(blob, { imageOrientation: "from-image" });
  const { width, height } = large;
  if (width * height > DETAIL) {
    const whole = large;
    const factor = Math.sqrt(DETAIL / (width * height));
    large = await shrunk(whole, Math.round(width * factor), Math.round(height * factor));
    whole.close();
  }
  return { width, height, large, small: large };
}

/** @type {(bitmap: ImageBitmap, width: number, height: number) => Promise<ImageBitmap>} */
const shrunk = (bitmap, width, height) =>
  createImageBitmap(bitmap, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });

/** @type {(scene: Scene) => Promise<void>} */
async function addSmall(scene) {
  const large = /** @type {ImageBitmap} */ (scene.large);
  const { width, height } = large;
  const factor = PREVIEW / Math.max(width, height);
  if (factor >= 1) return;
  /** @type {(side: number) => number} */
  const size = (side) => Math.max(1, Math.round(side * factor));
  const small = await shrunk(large, size(width), size(height)).catch(() => large); // another picture may have taken its place
  if (scene.large !== large) return;
  scene.small = small;
  draw();
}

/** @type {(blob: Blob, name: string) => Promise<ServerFile>} */
async function send(blob, name) {
  const file = new File([blob], name, { type: blob.type });
  const { path, url } = await upload(file).catch((problem) => {
    throw new Error(genrestore.refusal(problem));
  });
  return { path, url, orig_name: name, size: blob.size, mime_type: blob.type, meta: { _type: "gradio.FileData" } };
}

/** @type {(bitmaps: Bitmaps, name: string, blob: Blob | null) => Picture} */
function put({ width, height, large, small }, name, blob) {
  if (pending) cancel(); // it is the other picture's
  const original = /** @type {Scene} */ ({ id: ++scenes, large, small, state: null });
  picture = {
    ...{ width, height, name, blob, original, scene: original, file: null },
    get large() {
      return /** @type {ImageBitmap} */ (this.scene.large);
    },
    get small() {
      return /** @type {ImageBitmap} */ (this.scene.small);
    },
  };
  recent = [original];
  mask = new Mask(picture.width, picture.height, firstGrowth());
  showGrowth();
  setTool("brush");
  root.classList.add("unsent");
  setState("ready");
  if (document.activeElement === document.body) stage.focus({ preventScroll: true }); // what had it is gone
  setBrush(BRUSH * Math.max(picture.width, picture.height));
  cross = null;
  fit();
  told();
  return picture;
}

// Shows a picture and takes it to the server; meanwhile the editor is `unsent`.
// `file` is what the server knows it by if it lies there already; `ask` asks the server about it. Without a `blob` the server
// draws it. A picture that the server refuses gives way to the one before. `source` is what it can be sent from again.
/** @type {(blob: Blob | null, name: string, file?: ServerFile | null, ask?: (file: ServerFile) => Promise<any>, source?: Blob | null) => Promise<void>} */
async function openPicture(blob, name, file = null, ask = server.inspect, source = blob) {
  const number = ++opened;
  const before = { picture, mask };
  complain("");
  veil(words.opening);
  const decoding = blob ? decode(blob).catch(() => null) : null;
  let mine = /** @type {Picture | null} */ (null);
  /** @type {(decoded: Bitmaps) => Picture} */
  const show = (decoded) => {
    mine = put(decoded, name, source);
    addSmall(mine.original);
    return mine;
  };
  try {
    const drawn = SURE.includes(blob?.type ?? "") && (await decoding);
    if (number !== opened) return;
    if (drawn) show(drawn);
    veil(file ? "" : words.sending);
    const whole = file ?? (await send(/** @type {Blob} */ (blob), name));
    const facts = await ask(whole);
    if (facts.problem) throw new Error(facts.problem);
    const known = facts.file ?? whole; // one of several frames lies in a file of its own
    /** @type {(one: { width: number, height: number }) => boolean} */
    const right = (one) => facts.alike && one.width === facts.width && one.height === facts.height;
    if (mine && right(mine)) mine.file = known; // also where a newer one is shown by now, which may yet give way to this
    else {
      const decoded = await decoding;
      const upright = decoded && right(decoded) ? decoded : await decodeOnServer(known, facts);
      if (number === opened) show(upright);
      if (mine) mine.file = known;
    }
    if (mine && facts.frames) mine.pages = { whole, frames: facts.frames, frame: facts.frame };
    if (number !== opened || !mine) return;
    root.classList.remove("unsent");
    announce(say(words.opened, { w: mine.width, h: mine.height }));
    publish();
    if (facts.told && !restoring) trigger("recall");
    if (!restoring) keepPhoto();
  } catch (problem) {
    if (number !== opened) return;
    ({ picture, mask } = before);
    showGrowth();
    root.classList.toggle("unsent", Boolean(picture && !picture.file));
    setState(picture ? "ready" : "start");
    if (picture) told();
    fit();
    complain(problem.message);
  } finally {
    if (number === opened) {
      veil("");
      askFrame(picture?.pages ?? null);
    }
  }
}

const askFrame = genrestore.frameField(find(".which-frame"), (whole, number) => {
  opening = openFrame(whole, picture.name, number, picture.blob);
});

/** @type {(whole: ServerFile, name: string, number: number, source: Blob | null) => Promise<void>} */
const openFrame = (whole, name, number, source) => openPicture(null, name, whole, (file) => server.frame({ file, frame: number }), source);

/** @type {(blob: Blob, name: string) => void} */
function start(blob, name) {
  opening = openPicture(blob, name);
}

/** @type {(file: ServerFile, size: { width: number, height: number }) => Promise<Bitmaps>} */
async function decodeOnServer(file, { width, height }) {
  const answer = await server.preview(file);
  if (answer.problem) throw new Error(answer.problem);
  const large = await bitmapOf(answer.url);
  return { width, height, large, small: large };
}

/** @type {(url: string) => Promise<ImageBitmap>} */
const bitmapOf = async (url) => createImageBitmap(await (await fetch(url)).blob());

// Fetches all detail of a scene that the server drew smaller than it is, once a closer look asks for it.
/** @type {(scene: Scene) => Promise<void>} */
async function sharpen(scene) {
  const first = /** @type {ImageBitmap} */ (scene.large);
  const file = scene.file ?? picture.file;
  if (scene.sharpened || !file || first.width * first.height > 0.95 * Math.min(picture.width * picture.height, DETAIL)) return;
  scene.sharpened = true;
  try {
    const large = await bitmapOf((await server.detail(file)).url);
    if (scene.large !== first) return large.close(); // it was let go
    scene.large = large;
    if (scene.small !== first) first.close();
    draw();
  } catch {
    // what there is stays
  }
}

// A picture that already lies on the server, such as an example.
// `suggested` is {url, says}: a mask to begin with, and what marking it is called.
/** @type {(file: ServerFile, suggested: Picture["suggested"]) => Promise<void>} */
async function fetchAndOpen(file, suggested) {
  const name = file.orig_name || file.path.replace(/.*[\\/]/, "");
  try {
    const answer = await fetch(file.url);
    if (!answer.ok) throw new Error(answer.statusText);
    await openPicture(await answer.blob(), name, file);
    if (picture?.file?.path === file.path) Object.assign(picture, { suggested });
    refresh();
  } catch {
    complain(words.lost);
  }
}

// Marks what may go from an example.
async function suggest() {
  const mine = picture;
  if (!mine.suggested) return;
  const bits = await readBits(mine.suggested.url);
  if (mine === picture) edit(words.painted, () => mask.replace(bits));
}

// ---- the camera ----

/** @type {MediaStream | null} */
let stream = null;

async function openCamera() {
  complain("");
  if (!navigator.mediaDevices?.getUserMedia) return complain(words.camera_insecure);
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, height: { ideal: 1080 } } });
  } catch (problem) {
    return complain(problem.name === "NotAllowedError" ? words.camera_refused : words.camera_absent);
  }
  find("video").srcObject = stream;
  setState("camera");
  button("snap").focus();
}

function closeCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  find("video").srcObject = null;
}

async function snap() {
  const video = find("video");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/png" });
  closeCamera();
  setState("start");
  start(blob, "camera.png");
}

// ---- the value ----

/** @type {{ now: Moment | null, urls: Promise<[string, string | null, string | null]> } | null} */
let encoded = null; // {now, urls}: a moment and a promise of its marks as data URLs; null when they must be made again
let timer = 0;

/** @type {() => Promise<Question | null>} */
async function value() {
  if (shape) finish(); // which may have to wait for the server
  await opening;
  if (!picture?.file) return null;
  /** @type {(flag: number) => Promise<string>} */
  const url = (flag) => png(mask, flag).then(dataUrl);
  encoded ??= { now: moment(), urls: Promise.all([url(MARKED), mask.growth ? url(PAINTED) : null, mask.forbidden ? url(FORBIDDEN) : null]) };
  const grow = mask.growth;
  const [marked, painted, forbid] = await encoded.urls;
  const { file, scene, width, height } = picture;
  return { file, mask: marked, painted, grow, forbid, w: width, h: height, state: scene.state, of: scene.id, kind: chooser.value };
}

// Tells the value once painting rests; `value()` gives it at any time.
function publish() {
  encoded = null;
  clearTimeout(timer);
  timer = setTimeout(async () => {
    if (shape) return publish(); // the next stroke has begun; asking for the value would end it
    props.value = await value();
    trigger("change");
    if (props.value && encoded) keepMoment(encoded.now, await encoded.urls);
    lookOut(props.value);
  }, WAIT);
}
