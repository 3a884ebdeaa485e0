// Of the languages in which there are words, the one that the browser asks for, or a kin of it; else English.
/** @type {typeof globalThis.languageOf} */
function languageOf(words) {
  const asked = navigator.language.toLowerCase();
  /** @type {(is: (name: string) => boolean) => string | undefined} */
  const find = (is) => Object.keys(words).find((name) => is(name.toLowerCase()));
  return find((name) => name === asked) ?? find((name) => name.split("-")[0] === asked.split("-")[0]) ?? "en";
}
