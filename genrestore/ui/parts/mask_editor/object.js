// ---- selecting an object: the server finds its edges from a line drawn roughly round it, or from a point on it ----

const MOST_POINTS = 500; // of an outline that is sent
const CLICK = 6; // CSS pixels: an outline that keeps within them of its first point was a click on the object

/** @type {(points: Point[], value: number) => void} */
function startObject(points, value) {
  const away = points.map(({ x, y }) => Math.hypot(x - points[0].x, y - points[0].y) * view.scale);
  if (points.length < 3 || Math.max(...away) < CLICK) points = points.slice(0, 1);
  const every = Math.ceil(points.length / MOST_POINTS);
  const outline = points.filter((_, place) => place % every === 0).map(({ x, y }) => [x, y]);
  const before = opening;
  opening = before.then(() => selectObject(outline, value));
}

/** @type {(outline: number[][], value: number) => Promise<void>} */
async function selectObject(outline, value) {
  const mine = picture;
  if (!mine?.file) return;
  complain("");
  veil(words.selecting);
  try {
    const answer = await server.select({ file: mine.file, outline });
    if (answer.problem) throw new Error(answer.problem);
    const bits = await readBits(answer.url);
    if (mine !== picture) return;
    edit(value ? words.selected : words.painted, () => {
      mask.region({ ...answer, bits }, value);
      if (!value) mask.trim();
    });
  } catch (problem) {
    if (mine === picture) complain(problem.message);
  } finally {
    veil("");
  }
}
