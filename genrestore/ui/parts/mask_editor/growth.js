// ---- growing what is painted: a mask that is too tight leaves a rim of what should go, and spoils every fill ----

const GROWTH = props.value?.growth; // {edge, hand, most}, see pipelines/growth.py
const GROWTH_KEY = "genrestore-mask-growth"; // in the browser's store: how much more than usual; 0 is none

const growing = find(".growth input[type=checkbox]");
const growth = find(".growth input[type=number]");

const usualGrowth = () => Math.min(GROWTH.most, GROWTH.edge + Math.round(GROWTH.hand * Math.max(picture.width, picture.height)));

// What a new picture begins with: what the visitor chose for the one before, at this one's scale.
function firstGrowth() {
  return clamp(Math.round(usualGrowth() * rememberedGrowth()), 0, GROWTH.most);
}

// The browser may refuse its store, as to a frame on another site's page.
function rememberedGrowth() {
  try {
    const factor = Number.parseFloat(localStorage.getItem(GROWTH_KEY) ?? "");
    return factor >= 0 ? factor : 1;
  } catch {
    return 1;
  }
}

// Grows all that is painted, and what will be, by so many pixels.
/** @type {(pixels: number) => void} */
function setGrowth(pixels) {
  const wanted = clamp(Math.round(pixels) || 0, 0, GROWTH.most);
  try {
    localStorage.setItem(GROWTH_KEY, String(wanted / usualGrowth()));
  } catch {
    // then it holds for this picture alone
  }
  edit(wanted ? words.margin : words.no_margin, () => mask.regrow(wanted));
  showGrowth();
}

function showGrowth() {
  if (!mask) return;
  growing.checked = mask.growth > 0;
  growth.valueAsNumber = mask.growth || usualGrowth();
  growth.disabled = !mask.growth;
}

function wireGrowth() {
  growing.addEventListener("change", () => setGrowth(growing.checked ? growth.valueAsNumber : 0));
  growth.addEventListener("change", () => setGrowth(Math.max(1, growth.valueAsNumber || 1)));
}
