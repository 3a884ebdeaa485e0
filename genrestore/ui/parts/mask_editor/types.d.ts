// What the scripts of the editor share; they are one script, put together by component.py.


interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

interface Region {
  left: number;
  top: number;
  width: number;
  height: number;
  bits: Uint8Array;
}

type Visit = (y: number, first: number, last: number) => void; // a run of pixels

// A step of the mask, see Mask.commit; `repair` where a repair made it, `number` once it is kept.
interface Step extends Box {
  repair: { before: Scene; after: Scene } | null;
  flips: { flag: number; pixels: Uint8Array }[];
  growth: [number, number];
  number?: number;
}

interface Bitmaps {
  width: number;
  height: number;
  large: ImageBitmap;
  small: ImageBitmap;
}

// See history.js; the photo as it was opened has only the first four.
interface Scene {
  id: number;
  large: ImageBitmap | null;
  small: ImageBitmap | null;
  sharpened?: boolean; // all its detail was asked for
  state: { base: ServerFile; touched: string } | null;
  blob: Blob | null;
  file: ServerFile;
  shown: ServerFile;
  kind: string;
  line: string;
  counts: string;
  how?: string[];
  notes: string[];
  kept?: Kept | null;
  bytes?: number;
  awaits?: string | null;
  parts?: unknown; // how many other fills it can have
  made?: { before: Scene; after: Scene; marks: Marks } | null;
  fills?: Fills;
  chosen?: Record<number, string>;
}

type Kept = { base: Blob; shown: Blob; file: Blob }; // a scene's files in the browser's store

interface Offer {
  part: number;
  kind: string;
  thumbnail: string;
  at: [number, number]; // top, left
  fill: unknown;
}

interface Fills {
  parts: { offers: Offer[]; guesses: { at: [number, number]; bitmap: ImageBitmap } | null }[];
  told: number;
  complete: boolean;
}

// A scene of whose repair other fills are made.
interface Refillable extends Scene {
  made: NonNullable<Scene["made"]>;
  fills: Fills;
  chosen: Record<number, string>;
}

interface Picture extends Readonly<Bitmaps> {
  name: string;
  blob: Blob | null;
  original: Scene;
  scene: Scene;
  file: ServerFile | null;
  pages?: Pages;
  suggested?: { url: string; says: string };
}

type Marks = { mask: string; painted: string | null; grow: number; forbid: string | null };

// What the server is asked with, see MaskEditor.
interface Question extends Marks {
  file: ServerFile;
  w: number;
  h: number;
  state: Scene["state"];
  of: number;
  kind: string;
}

// The work that is under way.
interface Work {
  run: string;
  used: Uint8Array | null;
  step: string | null;
  question: (Question & { run: string; sure: boolean }) | null;
  then: (() => void) | null;
  marks?: Marks;
  ended?: boolean;
}

interface Moment {
  of: Picture;
  scene: Scene;
  growth: number;
  done: Step[];
  undone: Step[];
}

interface Shape {
  tool: string;
  value: number;
  points: Point[];
}

interface HTMLElement {
  editor?: object; // what component.py asks it by, and tells it
}
