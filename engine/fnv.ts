/** FNV-1a with 64 bits (Fowler, Noll, Vo): the digest of runs, of recorded memory and of what scenarios leave behind. */

/** A digest under way, as two halves of int32, for bigints are slow. */
export class Fnv64 {
  #low = 0x84222325 | 0;
  #high = 0xcbf29ce4 | 0;

  /**
   * Takes numbers in, in order. Of bytes this is FNV-1a as published; a 32-bit word is taken in at once, which is
   * another digest than that of its four bytes.
   */
  take(words: ArrayLike<number>, from = 0, to = words.length): this {
    let low = this.#low;
    let high = this.#high;
    for (let i = from; i < to; i++) {
      low ^= words[i]!;
      // Times 0x100000001b3: the low half times 0x1b3, and the low half moved up by 8 bits of the high word.
      const a = (low & 0xffff) * 0x1b3;
      const b = (low >>> 16) * 0x1b3 + (a >>> 16);
      high = (Math.imul(high, 0x1b3) + (low << 8) + (b >>> 16)) | 0;
      low = (b << 16) | (a & 0xffff);
    }
    this.#low = low;
    this.#high = high;
    return this;
  }

  /** Sixteen hex digits. */
  hex(): string {
    const half = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return half(this.#high) + half(this.#low);
  }
}

/** The digest of bytes, 16 hex digits. */
export const fnv1a64 = (bytes: Uint8Array): string => new Fnv64().take(bytes).hex();
