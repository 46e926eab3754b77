/**
 * Two things timed against each other: slices of 1 to 2 ms that alternate in one process, so that whatever the machine
 * does happens to both, and the median of the neighbours' ratios.
 */
import { median } from '../../reports/gate/stats.ts';

/** One slice's work: so many operations; `prepare` is not timed. */
export interface Sliced {
  readonly operations: number;
  readonly run: () => void;
  readonly prepare?: (() => void) | undefined;
}

/** What a pair came to: nanoseconds an operation, medians, and the median of the ratios of neighbours. */
export interface PairResult {
  readonly ns: number;
  readonly referenceNs: number;
  readonly ratio: number;
}

/** A slice is repeated until it has taken this long, so that reading the clock does not count. */
const SLICE_MS = 1;

/** Nanoseconds an operation, of one slice. */
export function slice(work: Sliced): number {
  let timed = 0;
  let operations = 0;
  do {
    work.prepare?.();
    const from = performance.now();
    work.run();
    timed += performance.now() - from;
    operations += work.operations;
  } while (timed < SLICE_MS);
  return (timed * 1e6) / operations;
}

/** Alternates slices of both, `pairs` times, after `warmup` of each. */
export function measurePair(work: Sliced, reference: Sliced, pairs: number, warmup = 3): PairResult {
  for (let i = 0; i < warmup; i++) {
    slice(work);
    slice(reference);
  }
  const ns: number[] = [];
  const referenceNs: number[] = [];
  const ratios: number[] = [];
  let before = slice(reference);
  for (let i = 0; i < pairs; i++) {
    const mine = slice(work);
    const after = slice(reference);
    ns.push(mine);
    referenceNs.push(after);
    ratios.push((2 * mine) / (before + after));
    before = after;
  }
  return { ns: median(ns), referenceNs: median(referenceNs), ratio: median(ratios) };
}
