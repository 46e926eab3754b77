/** FNV-1a against its published vectors and against bigints, and hex there and back. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fnv64, fnv1a64 } from './fnv.ts';
import { fromHex, toHex } from './hex.ts';

/** The definition, slowly. */
function byDefinition(words: readonly number[]): string {
  let hash = 0xcbf29ce484222325n;
  for (const word of words) hash = BigInt.asUintN(64, (hash ^ BigInt(word >>> 0)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}

// From the test suite of the authors (draft-eastlake-fnv, appendix C).
test.each([
  ['', 'cbf29ce484222325'],
  ['a', 'af63dc4c8601ec8c'],
  ['foobar', '85944171f73967e8'],
  ['chongo was here!\n', '46810940eff5f915'],
])('the digest of %j is the published one', (text, digest) => {
  expect(fnv1a64(new TextEncoder().encode(text))).toBe(digest);
});

test('any bytes, and any words, in any pieces: as with bigints', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(fnv1a64(bytes)).toBe(byDefinition([...bytes]));
    }),
  );
  fc.assert(
    fc.property(fc.int32Array(), fc.nat(), (words, cut) => {
      const at = Math.min(cut, words.length);
      const digest = new Fnv64().take(words, 0, at).take(words, at).hex();
      expect(digest).toBe(byDefinition([...words]));
    }),
  );
});

test('hex there and back', () => {
  expect(toHex(Uint8Array.of(0x0f, 0xa0), ' ')).toBe('0f a0');
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(fromHex(toHex(bytes))).toEqual(bytes);
    }),
  );
});
