// ---- growing what is painted: a mask that is too tight leaves a rim of what should go, and spoils every fill ----

const GROWTH = { part: 1 / 250, least: 2, most: 24 }; // pixels, by the picture's longer side
const WIDEST_GROWTH = 200; // pixels
const GROWTH_KEY = "genrestore-mask-growth"; // in the browser's store: how much more than usual; 0 is none

const growing = find(".growth [type=checkbox]");
const growth = find(".growth [type=number]");

const usualGrowth = () => {
  const { width, height } = picture;
  return clamp(Math.round(GROWTH.part * Math.max(width, height)), GROWTH.least, GROWTH.most);
};

// What a new picture begins with: what the visitor chose for the one before, at this one's scale.
function firstGrowth() {
  return clamp(Math.round(usualGrowth() * rememberedGrowth()), 0, WIDEST_GROWTH);
}

// The browser may refuse its store, as to a frame on another site's page.
function rememberedGrowth() {
  try {
    const factor = Number.parseFloat(localStorage.getItem(GROWTH_KEY));
    return factor >= 0 ? factor : 1;
  } catch {
    return 1;
  }
}

// Grows all that is painted, and what will be, by so many pixels.
function setGrowth(pixels) {
  const wanted = clamp(Math.round(pixels) || 0, 0, WIDEST_GROWTH);
  try {
    localStorage.setItem(GROWTH_KEY, wanted / usualGrowth());
  } catch {
    // then it holds for this picture alone
  }
  edit(wanted ? words.grown : words.ungrown, () => mask.regrow(wanted));
  showGrowth();
}

function showGrowth() {
  if (!mask) return;
  growing.checked = mask.growth > 0;
  growth.value = mask.growth || usualGrowth();
  growth.disabled = !mask.growth;
}

function wireGrowth() {
  growing.addEventListener("change", () => setGrowth(growing.checked ? growth.value : 0));
  growth.addEventListener("change", () => setGrowth(Math.max(1, growth.value)));
}
