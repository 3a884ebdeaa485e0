// What the scripts of the page see besides the browser's own: what Gradio gives to the script of a part, and what all parts share.
// A part's template holds every node that its script asks for, so that looking one up never gives null.

interface Point {
  x: number;
  y: number;
}

// A file on the server, as Gradio names it.
interface ServerFile {
  path: string;
  url: string;
  orig_name: string;
  size?: number;
  mime_type?: string;
  meta?: { _type: string };
}

// ---- Gradio's, for each part; what comes from the server or from Python is checked there ----

declare const element: Part;
declare const props: { value: any; words: Record<string, Record<string, string>>; label?: string; [name: string]: any };
declare const server: Record<string, (question: any) => Promise<any>>;
declare function trigger(event: string): void;
declare function watch(name: string, act: () => void): void;
declare function upload(file: File): Promise<{ path: string; url: string }>;

// The kind of a node by its query, such as "input" of ".size input", "canvas.photo" or "input[type=number]".
type Tag<Q extends string> = Q extends `${string} ${infer Last}` ? Tag<Last> : Q extends `${infer Name}${"." | "[" | ":"}${string}` ? Name : Q;
type Found<Q extends string> = Q extends `[data-do${string}`
  ? HTMLButtonElement
  : Tag<Q> extends keyof HTMLElementTagNameMap
    ? HTMLElementTagNameMap[Tag<Q>]
    : Tag<Q> extends keyof SVGElementTagNameMap
      ? SVGElementTagNameMap[Tag<Q>]
      : HTMLElement;
type Find = <Q extends string>(query: Q) => Found<Q>;

// A new node with these properties.
type Make = <K extends keyof HTMLElementTagNameMap>(tag: K, properties?: object, ...children: (Node | string)[]) => HTMLElementTagNameMap[K];

interface Part extends Omit<HTMLElement, "querySelector" | "querySelectorAll" | "closest"> {
  closest(query: string): HTMLElement | null;
  querySelector: Find;
  querySelectorAll<Q extends string>(query: Q): NodeListOf<Found<Q>>;
}

// The browser makes text of it.
interface Element {
  setAttribute(name: string, value: string | number | boolean): void;
}

// What is read of these is asked for in the query that found the node.
interface DOMStringMap {
  alt: string;
  do: string;
  label: string;
  title: string;
  tool: string;
  word: string;
}
interface Document {
  readonly activeElement: HTMLElement; // before the page has a body it would be null
}

// ---- events of a node come from it or from one below it ----

type From<E, Node> = E & { target: Node };

interface HTMLElement {
  addEventListener<K extends keyof HTMLElementEventMap>(type: K, act: (event: From<HTMLElementEventMap[K], HTMLElement>) => unknown, how?: AddEventListenerOptions): void;
}
interface HTMLInputElement {
  addEventListener<K extends keyof HTMLElementEventMap>(type: K, act: (event: From<HTMLElementEventMap[K], HTMLInputElement>) => unknown): void;
}
interface HTMLSelectElement {
  addEventListener<K extends keyof HTMLElementEventMap>(type: K, act: (event: From<HTMLElementEventMap[K], HTMLSelectElement>) => unknown): void;
}
interface Document {
  addEventListener(type: "paste", act: (event: From<ClipboardEvent, HTMLElement>) => unknown): void;
}

// ---- what page.js gives to all parts, and scripts to those that they come with ----

// The whole file, how many frames it holds and which of them, counted from 1, is open.
interface Pages {
  whole: ServerFile;
  frames: number;
  frame: number;
}

interface Genrestore {
  refusal(problem: any): string;
  frameField(place: HTMLElement, pick: (whole: ServerFile, frame: number) => void): (pages: Pages | null) => void;
  hand(tab: string, file: ServerFile): void;
  taker(tab: string, take: (file: ServerFile) => void): void;
  hasFiles(data: DataTransfer | null): boolean;
  dropzone(tab: HTMLElement, root: HTMLElement, take: (data: DataTransfer) => void): void;
  settled: Promise<unknown>; // when the page is first shown
}

declare const genrestore: Genrestore;

interface Window {
  genrestore: Genrestore;
  gradio_config?: { components: any[]; layout: any };
}

declare function languageOf(words: object): string;
declare function fullScreen(root: HTMLElement, button: HTMLElement, draw: () => void): () => boolean;

// ---- orders.js: what is asked of models ----

interface Answer {
  run?: string;
  state: "busy" | "done" | "failed";
  fraction: number;
  text: string;
  [more: string]: any;
}

// A model that can be had.
interface Entry {
  name: string;
  reference: string;
  task: string;
  size: string;
  licence: string;
  about: string;
  untested: boolean;
  here: boolean;
}

interface Ordering {
  words: Record<string, string>;
  say(key: string, values?: object): string;
  make: Make;
  button(text: string, act: () => unknown, className?: string): HTMLButtonElement;
  day(date: string): string;
  halt(): void;
  work(place: HTMLElement, wish: object, first: string, done: (answer: Answer) => void, left: (problem?: string) => void): void;
  obtain(place: HTMLElement, reference: string, came: (answer: Answer) => void, left: () => void): void;
  offerRow(entry: Entry, came: (answer: Answer) => void): HTMLElement;
}

declare function ordering(): Ordering;
