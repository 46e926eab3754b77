/**
 * Parts of runs that are alike, held once: of a thousand strategies most meet the same faults and take the same steps, and a
 * run that came from another process shares nothing with the one before it.
 */
import { createHash } from 'node:crypto';
import type { Run } from '../../scenarios/run/comparison.ts';

/** Holds what it has seen by a digest of its text. */
export class Shared {
  readonly #seen = new Map<string, unknown>();

  /** The same run, made of parts that others may have too. */
  run(run: Run): Run {
    const parts = Object.entries(run).map(([key, value]) => [
      key,
      Array.isArray(value) ? this.#same(value.map((part) => this.#same(part))) : this.#same(value),
    ]);
    return Object.fromEntries(parts);
  }

  #same<T>(value: T): T {
    if (typeof value === 'number' || typeof value === 'boolean') return value;
    const digest = createHash('sha1').update(JSON.stringify(value)).digest('base64');
    const seen = this.#seen.get(digest);
    if (seen !== undefined) return seen as T;
    this.#seen.set(digest, value);
    return value;
  }
}
