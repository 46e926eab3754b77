/** Bytes that depend on a seed and a name alone: the only randomness there is, and it is none. */

/** A generator of 0 to 255 (xorshift32), different for every seed and name. */
export function randomBytes(seed: number, name: string): () => number {
  let state = 0x811c_9dc5;
  for (const char of `${seed}/${name}`) state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x0100_0193);
  // xorshift stays at 0 for ever; any other start will do.
  if (state === 0) state = 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 8) & 0xff;
  };
}
