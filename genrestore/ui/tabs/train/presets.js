// What can be trained, a card each, task by task. The value is the name of the chosen one. The server is asked only once the
// page is there, because its answer loads torch. Gradio runs this once, with `element`, `props`, `server` and `trigger`.

/** @type {Find} */
const find = (query) => element.querySelector(query);
const words = props.words[languageOf(props.words)];
/** @type {(key: string, values?: Record<string, unknown>) => string} */
const say = (key, values = {}) => words[key].replace(/{(\w+)}/g, (_, name) => String(values[name]));

/** @type {Make} */
function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

/** @typedef {{ name: string, makes: string, advice: string, size: string, steps: number }} Preset */
/** @type {(preset: Preset) => HTMLElement} */
function card({ name, makes, advice, size, steps }) {
  const input = make("input", { type: "radio", name: "preset", value: name });
  input.addEventListener("change", () => choose(name));
  const facts = say("facts", { name, size, steps: steps.toLocaleString() });
  return make("label", {}, input, make("b", {}, makes), make("span", { className: "about" }, advice), make("span", { className: "facts" }, facts));
}

/** @type {(name: string) => void} */
function choose(name) {
  props.value = name;
  trigger("input");
}

async function start() {
  find(".problem").textContent = words.loading;
  const answer = await server.presets({});
  if (!answer) {
    setTimeout(start, 2000);
    return;
  }
  find(".problem").textContent = answer.problem ?? "";
  if (!answer.tasks) return;
  const groups = answer.tasks.map((/** @type {{ wish: string, presets: Preset[] }} */ { wish, presets }) =>
    make("fieldset", {}, make("legend", {}, wish), make("div", { className: "cards" }, ...presets.map(card))),
  );
  find(".tasks").replaceChildren(...groups);
  find("input").checked = true;
  choose(find("input").value);
}

start();
