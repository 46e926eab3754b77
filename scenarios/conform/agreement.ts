/**
 * How far this version's core agrees with the recorded kernels: what `compare conform` prints, for reports to
 * quote without running it again. A test runs it and compares.
 */
import type { Comparison } from '../run/comparison.ts';

/** Cases that were run on each recorded kernel, and those that agree in everything. */
export const AGREEMENT: NonNullable<Comparison['conformance']> = {
  stock: { cases: 3640, agree: 3638 },
  prepatch: { cases: 2602, agree: 2588 },
  'gup-reason': { cases: 2602, agree: 2602 },
  'reexec-memslot': { cases: 2602, agree: 2602 },
  'reexec-mmio': { cases: 2602, agree: 2602 },
  'ro-cached-mmio': { cases: 2602, agree: 2602 },
  shadow: { cases: 2602, agree: 2602 },
};
