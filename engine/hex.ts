/** Bytes as hex digits, two a byte. */

/** `[0x0f, 0xa0]` as `0fa0`, or with something between the bytes. */
export const toHex = (bytes: Uint8Array, between = ''): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(between);

/** The bytes of hex digits, a half byte at the end left out. */
export function fromHex(digits: string): Uint8Array {
  const bytes = new Uint8Array(digits.length >> 1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
