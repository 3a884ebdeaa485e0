// ---- old photographs: damage is found, filled, and some of the grain taken out, each as a step of its own ----

const old = Boolean(props.value?.old);
const sensing = find(".sensitivity input");

// The newest search: what it was of, the newest step after it, and whether it made that.
/** @type {{ of: Scene, step: Step | undefined, made: boolean } | null} */
let search = null;

// Marks what the server takes for damage; it is a proposal, to be painted over and erased like any mark.
/** @type {(then?: (() => void) | null) => Promise<unknown>} */
const findDamage = (then = null) =>
  ask("damage", { used: new Uint8Array(0), step: words.finding, then, facts: { sensitivity: sensing.valueAsNumber } });

// Each step follows when the one before has come; what ends one ends them all.
function mendOld() {
  const clean = () => ask("clean", { used: new Uint8Array(mask.bits.length), step: words.cleaning });
  findDamage(() => (mask.count ? ask("repair", { step: words.filling, then: clean }) : clean()));
}

// Whether nothing was done since damage was last looked for.
const searched = () => Boolean(search && search.of === picture?.scene && search.step === mask.done.at(-1));

function sensed() {
  if (pending?.step === words.finding) cancel();
  findDamage();
}

// What is found takes the place of what was found before.
/** @type {(url: string, wanted: () => boolean) => Promise<void>} */
async function markDamage(url, wanted) {
  const bits = await readBits(url);
  await lifted();
  if (!wanted()) return;
  if (searched() && search?.made) mask.undo();
  mask.add(bits);
  const made = mask.commit();
  search = { of: picture.scene, step: mask.done.at(-1), made };
  const some = bits.includes(1);
  changed(some ? words.damage_found : words.undamaged);
  if (!some) complain(words.undamaged);
  draw();
}

function wireDamage() {
  sensing.valueAsNumber = props.value?.sensitivity;
  sensing.addEventListener("change", sensed);
}
