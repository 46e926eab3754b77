/** Names a user may have mistyped. */
import { describe, expect, test } from 'vitest';
import { editDistance, nearest } from '../../scenarios/language/nearest.ts';
import { byName } from './mistyped.ts';

describe('editDistance', () => {
  test('counts inserts, deletes, replacements and swaps', () => {
    expect(editDistance('rom', 'rom')).toBe(0);
    expect(editDistance('rom', 'rome')).toBe(1);
    expect(editDistance('rom', 'ram')).toBe(1);
    expect(editDistance('wirte', 'write')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });
});

describe('nearest', () => {
  const known = ['rom-read', 'rom-write', 'slot-flip'];
  test('finds a slip, a beginning, another case', () => {
    expect(nearest('rom-wirte', known)).toBe('rom-write');
    expect(nearest('slot', known)).toBe('slot-flip');
    expect(nearest('ROM-READ', known)).toBe('rom-read');
  });
  test('does not guess wildly', () => {
    expect(nearest('migrate', known)).toBeUndefined();
    expect(nearest('', known)).toBeUndefined();
  });
});

test('byName lists what there is when nothing is near', () => {
  const known = [{ name: 'alpha' }, { name: 'beta' }];
  expect(byName('beta', known, 'letter')).toBe(known[1]);
  expect(() => byName('zzzzzz', known, 'letter')).toThrow(
    "no letter is called 'zzzzzz'. There is: alpha, beta.",
  );
});
