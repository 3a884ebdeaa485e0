// The page's scripts without a browser. Their texts are put together and run as Gradio runs them: in one function, which sees
// stand-ins for the page.

import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const UI = fileURLToPath(new URL("../../genrestore/ui/", import.meta.url));
const FILES = globSync("**/*.js", { cwd: UI }).map((path) => `ui/${path.replaceAll("\\", "/")}`);

function read(name) {
  const found = FILES.filter((path) => `/${path}`.endsWith(`/${name}.js`));
  if (found.length !== 1) throw new Error(`${found.length} scripts are named ${name}`);
  return readFileSync(UI + found[0].slice(3), "utf-8");
}

// Stands for any node or function of the browser: it has every property, keeps what is set, gives the same for the same first
// argument, and does nothing.
export function anything() {
  const kept = new Map([
    ["then", undefined], // it is no promise
    [Symbol.iterator, () => [].values()],
    [Symbol.toPrimitive, () => ""],
  ]);
  const get = (name) => kept.get(name) ?? (kept.has(name) ? undefined : kept.set(name, anything()).get(name));
  return new Proxy(function () {}, {
    get: (_, name) => get(name),
    set: (_, name, value) => Boolean(kept.set(name, value)),
    has: () => true,
    deleteProperty: (_, name) => kept.delete(name) || true,
    apply: (_, that, [first]) => get(`called with ${String(first)}`),
    construct: () => anything(),
  });
}

const BROWSER = ["document", "window", "location", "localStorage", "sessionStorage", "indexedDB", "history", "Image", "ImageData", "OffscreenCanvas", "ResizeObserver", "MutationObserver", "HTMLInputElement", "requestAnimationFrame", "cancelAnimationFrame", "setTimeout", "clearTimeout", "addEventListener", "genrestore", "element", "server", "trigger", "watch", "upload"];
const WORDS = new Proxy({}, { get: (_, name) => String(name) }); // each word says its own name

// Runs the scripts of these names; `given` are values in place of stand-ins, `constants` in place of their own. Returns what
// evaluates an expression in their scope.
export function run(names, given = {}, constants = {}) {
  const stands = Object.fromEntries(BROWSER.map((name) => [name, anything()]));
  const page = { ...stands, navigator: { language: "en" }, devicePixelRatio: 1, props: {}, ...given };
  page.props = { value: null, words: { en: WORDS }, ...page.props };
  let text = `${["language", ...names].map(read).join("\n").replace("/* words */", "props.words")}\nreturn (code) => eval(code);`;
  for (const [name, value] of Object.entries(constants)) text = text.replace(new RegExp(`^const ${name} = [^;]+`, "m"), `const ${name} = ${value}`);
  return new Function(...Object.keys(page), text)(...Object.values(page));
}

// Numbers from 0 to 1 that are the same each time.
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
