/** FNV-1a over bytes, 64 bits, as the recorded cases use it. */

/** The digest as 16 hex digits. The 64-bit product is built from 16-bit limbs, for bigints are slow. */
export function fnv1a64(bytes: Uint8Array): string {
  // Offset basis cbf29ce484222325, lowest limb first; the prime is 2^40 + 0x1b3.
  let a = 0x2325;
  let b = 0x8422;
  let c = 0x9ce4;
  let d = 0xcbf2;
  for (const byte of bytes) {
    const a1 = a ^ byte;
    const lowest = a1 * 0x1b3;
    const low = b * 0x1b3 + (lowest >>> 16);
    const high = c * 0x1b3 + ((a1 << 8) & 0xff_ffff) + (low >>> 16);
    const highest = d * 0x1b3 + ((b << 8) & 0xff_ffff) + Math.floor(high / 0x1_0000);
    a = lowest & 0xffff;
    b = low & 0xffff;
    c = high & 0xffff;
    d = highest & 0xffff;
  }
  return [d, c, b, a].map((limb) => limb.toString(16).padStart(4, '0')).join('');
}
