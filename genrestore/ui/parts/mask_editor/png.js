// ---- the mask as a file ----

const CRC = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** @type {(name: string, data: Uint8Array) => Uint8Array<ArrayBuffer>} */
function chunk(name, data) {
  const bytes = new Uint8Array(data.length + 12);
  const numbers = new DataView(bytes.buffer);
  numbers.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  let crc = 0xffffffff;
  for (const byte of bytes.subarray(4, -4)) crc = (crc >>> 8) ^ CRC[(crc ^ byte) & 255];
  numbers.setUint32(data.length + 8, ~crc);
  return bytes;
}

/** @type {(data: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>} */
async function deflate(data) {
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A greyscale PNG of one bit a pixel, white = the pixels of a flag.
/** @type {(mask: { width: number, height: number, bits: Uint8Array }, flag?: number) => Promise<Blob>} */
async function png({ width, height, bits }, flag = MARKED) {
  const stride = 1 + Math.ceil(width / 8); // a row begins with the number of its filter, 0 = none
  const rows = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0, at = y * width; x < width; x++, at++) {
      if (bits[at] & flag) rows[y * stride + 1 + (x >> 3)] |= 128 >> (x & 7);
    }
  }
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header[8] = 1;
  const parts = [chunk("IHDR", header), chunk("IDAT", await deflate(rows)), chunk("IEND", new Uint8Array())];
  return new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...parts], { type: "image/png" });
}

/** @type {(blob: Blob) => Promise<string>} */
function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(/** @type {string} */ (reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

// The server reads mask files, so that the page takes one as the command line does; it answers with a PNG of the picture's
// size and two colours.
/** @type {(file: File) => void} */
function startMask(file) {
  const before = opening;
  opening = before.then(() => loadMask(file));
}

/** @type {(file: File) => Promise<void>} */
async function loadMask(file) {
  const mine = picture;
  if (!mine?.file) return;
  complain("");
  veil(words.sending);
  try {
    const answer = await server.mask({ picture: mine.file, mask: await send(file, file.name) });
    if (answer.problem) throw new Error(answer.problem);
    const bits = await readBits(answer.url);
    if (mine === picture) edit(words.mask_loaded, () => mask.replace(bits));
  } catch (problem) {
    if (mine === picture) complain(problem.message);
  } finally {
    veil("");
  }
}

// 1 where a picture of black and white is white. Strips of it are looked at, so that a large one takes little memory.
/** @type {(url: string) => Promise<Uint8Array>} */
async function readBits(url) {
  const bitmap = await createImageBitmap(await (await fetch(url)).blob());
  const { width, height } = bitmap;
  const bits = new Uint8Array(width * height);
  const canvas = new OffscreenCanvas(width, Math.min(STRIP, height));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.drawImage(bitmap, 0, top, width, rows, 0, 0, width, rows);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let i = 0, at = top * width; i < data.length; i += 4, at++) bits[at] = data[i] >> 7;
  }
  bitmap.close();
  return bits;
}

async function saveMask() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await png(mask));
  link.download = `${picture.name.replace(/\.\w+$/, "")}.mask.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
}
