// Where a tab takes its picture from: chosen, dropped anywhere on the tab, pasted, or an example. The file
// goes to the server as it is, and takes the place of the one before once the server has read it. Gradio runs this once, with
// `element`, `props`, `server`, `trigger`, `upload` and `watch`.

/** @type {Find} */
const find = (query) => element.querySelector(query);
const words = props.words[languageOf(props.words)];

const root = find(".chooser");
const input = find("input");
const tab = element.closest('[role="tabpanel"]') ?? element;
/** @type {ServerFile[]} */
const examples = props.value.examples; // files that lie on the server
const askFrame = genrestore.frameField(find(".which-frame"), pick);
/** @type {Pages | null} */
let opened = null; // for askFrame
let newest = 0; // number of the upload that counts; an older one that ends late is dropped

/** @type {(file: ServerFile) => void} */
function addExample(file) {
  const name = file.path.replace(/.*[\\/]/, "");
  const button = document.createElement("button");
  const picture = document.createElement("img");
  Object.assign(picture, { src: file.url, alt: words[name.replace(/\.\w+$/, "")] });
  button.type = "button";
  button.append(picture);
  button.addEventListener("click", () => choose({ ...file, orig_name: name }));
  find(".examples").append(button);
}

/** @type {(file: ServerFile, pages?: Pages | null) => void} */
function choose(file, pages = null) {
  newest += 1;
  opened = pages;
  props.value = { file };
  draw();
  trigger("upload");
}

/** @type {(file: File | undefined) => Promise<void>} */
async function take(file) {
  if (!file) return;
  const number = ++newest;
  busy(words.sending);
  try {
    const { path, url } = await upload(file);
    if (number !== newest) return;
    const sent = { path, url, orig_name: file.name, size: file.size, meta: { _type: "gradio.FileData" } };
    busy(words.reading);
    const facts = await server.inspect(sent);
    if (number === newest) told(sent, facts);
  } catch (problem) {
    if (number === newest) draw(genrestore.refusal(problem));
  }
}

// What the server says of a file, or of one of its frames, which lies in a file of its own.
/** @type {(whole: ServerFile, facts: { problem?: string, file?: ServerFile, frames: number, frame: number }) => void} */
function told(whole, { problem, file, frames, frame }) {
  if (problem) draw(problem);
  else if (file) choose({ ...file, orig_name: whole.orig_name }, { whole, frames, frame });
  else choose(whole);
}

/** @type {(whole: ServerFile, frame: number) => Promise<void>} */
async function pick(whole, frame) {
  const number = ++newest;
  busy(words.reading);
  const facts = await server.frame({ file: whole, frame });
  if (number === newest) told(whole, facts);
}

/** @type {(text: string) => void} */
function busy(text) {
  root.classList.add("busy");
  find(".lead").textContent = text;
  find(".problem").textContent = "";
}

function draw(problem = "") {
  const file = props.value?.file;
  root.classList.remove("busy");
  find(".problem").textContent = problem;
  askFrame(file ? opened : null);
  find(".lead").textContent = file ? file.orig_name : words.choose;
  find(".hint").textContent = file ? words.change : words.drop;
  examples.forEach(({ path }, index) => find(".examples").children[index].setAttribute("aria-pressed", path === file?.path));
}

const isOpen = () => element.offsetParent !== null; // other tabs take drops and pastes of their own

input.addEventListener("change", () => {
  take(input.files?.[0]);
  input.value = ""; // the same file may be chosen again
});
genrestore.dropzone(tab, root, ({ files }) => take(files[0]));
document.addEventListener("paste", (event) => {
  if (!isOpen() || !genrestore.hasFiles(event.clipboardData)) return;
  event.preventDefault();
  take(event.clipboardData?.files[0]);
});

find(".examples").setAttribute("aria-label", words.examples);
examples.forEach(addExample);
watch("value", () => draw());
draw();
genrestore.taker(props.task, choose);
