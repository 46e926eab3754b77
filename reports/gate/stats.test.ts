import { describe, expect, test } from 'vitest';
import { bootstrapMedian, holm, median, random, signedRankP } from './stats.ts';

describe('signed ranks', () => {
  test('are exact where they can be counted by hand', () => {
    expect(signedRankP([1, 2, 3, 4, 5])).toBe(1 / 32);
    expect(signedRankP([1, 2, 3, -4, 5])).toBe(7 / 32);
    expect(signedRankP([-1, -2, -3])).toBe(1);
    expect(signedRankP([0, 0])).toBe(1);
  });

  test('agree with the example of the textbooks (Darwin: heights of crossed and self-fertilized plants)', () => {
    const heights = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75];
    expect(2 * signedRankP(heights)).toBeCloseTo(0.041259765625, 12);
  });

  test('ties share their rank', () => {
    // Doubled ranks 3, 3, 6: positive 3 + 6 of 12; subsets with at least 9 are {3,6} twice and all.
    expect(signedRankP([1, -1, 2])).toBe(3 / 8);
  });
});

test("Holm's adjustment steps down and never falls", () => {
  expect(holm([0.01, 0.04, 0.03])).toEqual([0.03, 0.06, 0.06]);
  expect(holm([0.9, 0.8])).toEqual([1, 1]);
});

test('medians', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

describe('the bootstrap', () => {
  test('is the same for the same seed, and brackets the median', () => {
    const values = Array.from({ length: 31 }, (_, i) => (i * 7) % 31);
    const ci = bootstrapMedian(values, 1);
    expect(bootstrapMedian(values, 1)).toEqual(ci);
    expect(ci.low).toBeLessThanOrEqual(ci.middle);
    expect(ci.high).toBeGreaterThanOrEqual(ci.middle);
    expect(ci.middle).toBe(15);
  });

  test('draws evenly', () => {
    const next = random(3);
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) buckets[Math.floor(next() * 10)]! += 1;
    for (const n of buckets) expect(Math.abs(n - 10_000)).toBeLessThan(500);
  });
});
