/**
 * How far a fuzzer goes: a short way with a fixed seed in the tests, and as many minutes as `npm run fuzz -- --minutes N`
 * says, from a seed that is printed.
 */

/** Minutes for all fuzzers together; 0 in the tests. */
export const MINUTES = Number(process.env.FUZZ_MINUTES ?? 0);
/** Where the random numbers start. */
export const SEED = Number(process.env.FUZZ_SEED ?? 20_120_806);

/** Settings of fast-check: `few` runs in the tests; in a long run as many as fit in its `share` of the minutes. */
export function extent(few: number, share: number) {
  if (MINUTES === 0) return { numRuns: few, seed: SEED };
  return {
    numRuns: 1_000_000_000,
    seed: SEED,
    interruptAfterTimeLimit: MINUTES * 60_000 * share,
    markInterruptAsFailure: false,
  };
}

/** Milliseconds a fuzzer's test may take: a multiple of its share, for a failure has to be made small. */
export const patience = (share: number): number => 120_000 + MINUTES * 60_000 * share * 4;

/** Counts what was tried, and says so after a long run. */
export class Tally {
  readonly #counts = new Map<string, number>();
  readonly #what: string;
  #early = 0;
  #tries = 0;

  constructor(what: string) {
    this.#what = what;
  }

  add(kind: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    // What is taken early is not growth: code is compiled, tables are made.
    if (++this.#tries === 2000) this.#early = process.memoryUsage().rss;
  }

  /** Prints the counts of a long run. */
  tell(): void {
    if (MINUTES === 0) return;
    const kinds = [...this.#counts].toSorted(([, a], [, b]) => b - a).map(([kind, n]) => `${kind} ${n}`);
    const grown = this.#early === 0 ? '' : `; grown by ${this.grownMiB()} MiB since the first 2,000`;
    console.log(`${this.#what}: ${this.#tries} tried (${kinds.join(', ')})${grown}; seed ${SEED}`);
  }

  /** MiB that the process has grown by since the first tries. */
  grownMiB(): number {
    return this.#early === 0 ? 0 : Math.round((process.memoryUsage().rss - this.#early) / 2 ** 20);
  }
}
