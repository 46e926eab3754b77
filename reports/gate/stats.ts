/** Statistics of paired rounds: a seeded bootstrap interval, an exact signed-rank test, Holm's adjustment. */
import { median as middle } from 'd3-array';

/** A source of numbers in [0, 1), the same for the same seed (xoshiro128**). */
export function random(seed: number): () => number {
  const s = new Int32Array(4);
  let z = seed | 0;
  for (let i = 0; i < 4; i++) {
    z = (z + 0x9e3779b9) | 0;
    let t = z ^ (z >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    s[i] = t ^ (t >>> 15);
  }
  let [a = 0, b = 0, c = 0, d = 0] = s;
  return () => {
    const five = Math.imul(b, 5);
    const result = Math.imul((five << 7) | (five >>> 25), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return (result >>> 0) / 2 ** 32;
  };
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export const median = (values: readonly number[]): number => middle(values) ?? Number.NaN;

/** An interval with its middle. */
export interface Interval {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
}

/** Percentile bootstrap of the median: `resamples` draws with replacement, confidence 1 - 2 `tail`. */
export function bootstrapMedian(
  values: readonly number[],
  seed: number,
  tail = 0.025,
  resamples = 2000,
): Interval {
  const next = random(seed);
  const n = values.length;
  const medians = Array.from({ length: resamples }, () =>
    median(Array.from({ length: n }, () => values[Math.floor(next() * n)] ?? Number.NaN)),
  ).sort((x, y) => x - y);
  const at = (p: number): number => medians[Math.min(resamples - 1, Math.floor(p * resamples))] ?? Number.NaN;
  return { low: at(tail), middle: median(values), high: at(1 - tail) };
}

/**
 * Wilcoxon's signed-rank test, exact: the chance that so much, or more, of the rank sum is positive when signs are
 * coin tosses. Zeros are left out; ranks of ties are means, doubled so that they stay whole.
 */
export function signedRankP(differences: readonly number[]): number {
  const d = differences.filter((x) => x !== 0);
  const sorted = d.map(Math.abs).toSorted((x, y) => x - y);
  const rank = (x: number): number => sorted.indexOf(Math.abs(x)) + sorted.lastIndexOf(Math.abs(x)) + 2;
  const ranks = d.map(rank);
  const total = ranks.reduce((a, b) => a + b, 0);
  let ways = new Float64Array(total + 1);
  ways[0] = 1;
  for (const r of ranks) {
    const next = ways.slice();
    for (let sum = r; sum <= total; sum++) next[sum] = (next[sum] ?? 0) + (ways[sum - r] ?? 0);
    ways = next;
  }
  const positive = d.reduce((sum, x) => (x > 0 ? sum + rank(x) : sum), 0);
  return ways.subarray(positive).reduce((a, b) => a + b, 0) / 2 ** d.length;
}

/** Holm's step-down adjustment of p-values, in their order. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((p, i) => ({ p, i })).toSorted((a, b) => a.p - b.p);
  const adjusted = new Array<number>(ps.length).fill(1);
  let worst = 0;
  order.forEach(({ p, i }, k) => {
    worst = Math.max(worst, Math.min(1, p * (ps.length - k)));
    adjusted[i] = worst;
  });
  return adjusted;
}
