/** Small readings of a ROM's image, for guests that know what they should find. */

/** The 32-bit little-endian word at an offset. */
export const dwordAt = (image: Uint8Array, offset: number): number =>
  new DataView(image.buffer, image.byteOffset).getUint32(offset, true);

/** The sum, modulo 2^32, of `count` words that lie `stride` bytes apart from offset 0. */
export function sumOf(image: Uint8Array, count: number, stride: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum = (sum + dwordAt(image, (i * stride) % image.length)) >>> 0;
  return sum;
}
