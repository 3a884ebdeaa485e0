// Mask editor. Gradio runs this once for each editor, with `element`, `trigger`, `props`, `server`, `upload` and
// `watch` in scope. Its value is {file, mask, forbid, w, h, state, of, kind}: the picture's original file as it lies on the
// server; what is marked, and what must not be copied from, as PNG data URLs of one bit a pixel at the picture's full size, the
// second null if it is nothing; what repairs have made of the picture, and the number of the scene that shows it, see
// history.js; the format to save in. Without a picture it is null.
//
// The mask is a byte array of the picture's size that this file paints into by itself, so that a pixel is painted or
// not: canvases blend edges, differ between browsers, and hold four times as much. Points are in pixels of the picture
// unless they are said to lie on the stage, where they are CSS pixels from its top left corner.

const PREVIEW = 1600; // longest side of the small copy, drawn while the whole picture is in view
const DETAIL = 16e6; // most pixels of the large copy, drawn when zoomed in
const CLOSEST = 32; // screen pixels for one pixel of the picture
const BLOCKS = 3; // from here on pixels are drawn as squares
const NOTCH = 1.25; // zoom of one press of a button, growth of the brush of one press of a bracket
const MARGIN = 48; // CSS pixels of the stage beyond a picture that is smaller than it
const STRIDE = 10; // CSS pixels that an arrow key moves the crosshair
const BRUSH = 0.06; // first brush size, as a part of the longer side
const WIDEST_BRUSH = 0.4; // the same for the largest one
const WIDEST_SPREAD = 200; // pixels that a mask grows or shrinks by in one step
const UNDO_BYTES = 48 * 2 ** 20;
const STRIP = 256; // rows of a mask file that are decoded at a time
const WAIT = 200; // ms without painting before the value is told
const PEN = 1000; // ms after a pen was last near in which fingers are taken for its hand
const SURE = ["image/jpeg", "image/png", "image/gif", "image/bmp"]; // shown before the server has said how they lie
const LIGHTEST = 0.3; // part of the brush's width that a pen paints which hardly touches

// Colours of what is painted, as the bytes alpha, blue, green, red.
const INSIDE = 0x992d2dff;
const RIM = 0x73a5a5ff; // what it is grown by
const BORDER = 0xffffffff; // outermost screen pixels of both
const STRIPES = [0xd900b4ff, 0x73301800]; // across what must not be copied: amber and dark, told apart by any eye
const STRIPE = 5; // screen pixels of their width, times the device's ratio
const FORBIDDEN_BORDER = 0xff00c8ff;

/** @type {Find} */
const find = (query) => element.querySelector(query);
/** @type {(name: string) => HTMLButtonElement & HTMLAnchorElement} */
const button = (name) => /** @type {any} */ (find(`[data-do="${name}"]`));
const words = props.words[languageOf(props.words)];
/** @type {(value: number, low: number, high: number) => number} */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
/** @type {(text: string, values?: Record<string, unknown>) => string} */
const say = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

const root = find(".mask-editor");
const stage = find(".stage");
const photoCanvas = find("canvas.photo");
const maskCanvas = find("canvas.mask");
const slider = find(".size input");
const spread = find(".by input");

// Both are null until a picture is opened; all but what begins with one is called after that.
let picture = /** @type {Picture} */ (/** @type {unknown} */ (null)); // file is what the server knows it by, original and scene see history.js
let mask = /** @type {Mask} */ (/** @type {unknown} */ (null));
let view = { scale: 1, x: 0, y: 0, fitted: true }; // stage point = picture point · scale + (x, y)
let tool = "brush";
let brush = 0; // diameter in pixels
/** @type {Promise<unknown>} */
let opening = Promise.resolve(); // settles when the newest picture is shown and on the server
let opened = 0; // its number; an older one that comes late is dropped
