// ---- old photographs: damage is found, filled, and some of the grain taken out, each as a step of its own ----

const old = Boolean(props.value?.old);

function findDamage() {
  const before = opening;
  opening = before.then(markDamage);
  return opening;
}

// Marks what the server takes for damage; it is a proposal, to be painted over and erased like any mark.
async function markDamage() {
  const mine = picture;
  if (!mine?.file) return;
  complain("");
  veil(words.looking);
  try {
    const answer = await server.damage({ file: mine.file, state: mine.scene.state });
    if (answer.problem) throw new Error(answer.problem);
    const bits = await readBits(answer.url);
    if (mine !== picture) return;
    if (bits.includes(1)) edit(words.damage_found, () => mask.add(bits));
    else complain(words.undamaged);
  } catch (problem) {
    if (mine === picture) complain(problem.message);
  } finally {
    veil("");
  }
}

async function mendOld() {
  const mine = picture;
  await findDamage();
  if (mine !== picture || pending) return;
  const clean = () => mine === picture && ask("clean", new Uint8Array(mask.bits.length));
  if (mask.count) ask("repair", null, clean);
  else clean();
}
