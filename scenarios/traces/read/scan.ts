/** A text read from left to right, word by word: what the fields of an event are taken out with. */

const SPACE = 32;
const COMMA = 44;

/** A place in a text. One is enough for a whole trace. */
export class Scan {
  #text = '';
  #at = 0;

  /** Starts at the beginning of a text. */
  start(text: string): this {
    this.#text = text;
    this.#at = 0;
    return this;
  }

  /** Nothing is left. */
  get ended(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Passes over a literal if it stands here. */
  take(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  /** The word up to the next space, without a comma at its end; passes over the space. Empty at the end. */
  word(): string {
    const text = this.#text;
    const end = text.indexOf(' ', this.#at);
    const stop = end < 0 ? text.length : end;
    const last = text.charCodeAt(stop - 1) === COMMA ? stop - 1 : stop;
    const word = text.slice(this.#at, last);
    this.#at = stop;
    while (text.charCodeAt(this.#at) === SPACE) this.#at += 1;
    return word;
  }

  /** Everything up to where `literal` stands; passes over that too. Undefined if it does not come. */
  upTo(literal: string): string | undefined {
    const end = this.#text.indexOf(literal, this.#at);
    if (end < 0) return undefined;
    const taken = this.#text.slice(this.#at, end);
    this.#at = end + literal.length;
    return taken;
  }

  /** What is left. */
  rest(): string {
    return this.#text.slice(this.#at);
  }

  /** The next word as a decimal number; NaN if it is none. */
  decimal(): number {
    const word = this.word();
    return word === '' ? Number.NaN : Number(word);
  }

  /** The next word as a number in hex, with or without 0x; NaN if it is none. */
  hex(): number {
    return hexNumber(this.word());
  }

  /** The next word as hex digits without 0x and leading zeros; undefined if it is none. */
  digits(): string | undefined {
    return hexDigits(this.word());
  }
}

/** A number in hex, with or without 0x; NaN for any other text. */
export function hexNumber(word: string): number {
  const start = word.startsWith('0x') ? 2 : 0;
  if (word.length === start) return Number.NaN;
  let n = 0;
  for (let i = start; i < word.length; i++) {
    const digit = hexValue(word.charCodeAt(i));
    if (digit < 0) return Number.NaN;
    n = n * 16 + digit;
  }
  return n;
}

/** Hex digits without 0x and leading zeros; undefined for any other text. */
function hexDigits(word: string): string | undefined {
  let start = word.startsWith('0x') ? 2 : 0;
  if (word.length === start) return undefined;
  for (let i = start; i < word.length; i++) if (hexValue(word.charCodeAt(i)) < 0) return undefined;
  while (start < word.length - 1 && word.charCodeAt(start) === 48) start += 1;
  return word.slice(start);
}

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  return code >= 65 && code <= 70 ? code - 55 : -1;
}
