// The models that can be had, below the list of those that are here. The server is asked once it is opened, and again when one
// came. Gradio runs this once, with `element`, `props` and `server`, after orders.js.

const { words, say, day, offerRow } = ordering();
/** @type {Find} */
const find = (query) => element.querySelector(query);

async function lay() {
  const answer = await server.offers({}).catch(() => null);
  find(".problem").textContent = answer ? answer.problem ?? "" : words.no_answer;
  if (!answer?.models) return;
  const { models, dated } = answer;
  find(".offers").replaceChildren(...models.map((/** @type {Entry} */ entry) => offerRow({ ...entry, task: "" }, came)));
  find(".dated").textContent = models.length ? say("dated", { date: day(dated) }) : "";
  find(".none").hidden = models.length > 0;
  find(".none").textContent = words.none_listed;
}

/** @type {(answer: Answer) => Promise<void>} */
async function came({ title }) {
  find(".came").textContent = say("chosen_now", { title });
  await lay();
  find("summary").focus({ preventScroll: true });
}

find("summary").textContent = words.more;
find("details").addEventListener("toggle", () => find("details").open && !find(".offers").children.length && lay());
