// ---- old photographs: damage is found, filled, and some of the grain taken out, each as a step of its own ----

const old = Boolean(props.value?.old);

// Marks what the server takes for damage; it is a proposal, to be painted over and erased like any mark.
/** @type {(then?: (() => void) | null) => Promise<unknown>} */
const findDamage = (then = null) => ask("damage", { used: new Uint8Array(0), step: words.finding, then });

// Each step follows when the one before has come; what ends one ends them all.
function mendOld() {
  const clean = () => ask("clean", { used: new Uint8Array(mask.bits.length), step: words.cleaning });
  findDamage(() => (mask.count ? ask("repair", { step: words.filling, then: clean }) : clean()));
}

/** @type {(url: string, wanted: () => boolean) => Promise<void>} */
async function markDamage(url, wanted) {
  const bits = await readBits(url);
  await lifted();
  if (!wanted()) return;
  if (bits.includes(1)) edit(words.damage_found, () => mask.add(bits));
  else complain(words.undamaged);
}
