/** Thresholds of a gate, from a file if there is one: unknown keys are refused, so that a slip opens no gate. */
import { GateInputError } from './model.ts';

/** What counts as a difference. */
export interface Thresholds {
  /** Tier 2: instructions an access may grow by this share. */
  readonly instructions: number;
  /** Tier 3: smallest slowdown of interest, a share. */
  readonly effect: number;
  /** Tier 3: chance of a false alarm that is accepted, over all loops together. */
  readonly alpha: number;
  /** Tier 3: rounds, each a fresh process of both builds. */
  readonly rounds: number;
  /** Tier 3: other effects by loop. */
  readonly loops: Readonly<Record<string, number>>;
}

/** Where no file says otherwise. */
export const DEFAULTS: Thresholds = { instructions: 0.01, effect: 0.05, alpha: 0.01, rounds: 12, loops: {} };

/** Fewest rounds that can reach `alpha` over so many loops: all signs equal has the chance 2^-rounds. */
export const roundsNeeded = (alpha: number, loops: number): number => Math.ceil(Math.log2(loops / alpha));

/** Reads thresholds from parsed JSON; `loops` are the names that may be given. */
export function parseThresholds(value: unknown, loops: readonly string[]): Thresholds {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GateInputError('thresholds are a JSON object');
  }
  const given = value as Readonly<Record<string, unknown>>;
  refuseUnknown(given, Object.keys(DEFAULTS), 'thresholds');
  const own = given.loops ?? {};
  if (typeof own !== 'object' || own === null || Array.isArray(own)) {
    throw new GateInputError('loops: an object of effects by loop');
  }
  const byLoop = own as Readonly<Record<string, unknown>>;
  refuseUnknown(byLoop, loops, 'loops');
  const rounds = share(given, 'rounds', 1000);
  if (!Number.isInteger(rounds)) throw new GateInputError('rounds: needs a whole number');
  return {
    instructions: share(given, 'instructions', 1),
    effect: share(given, 'effect', 1),
    alpha: share(given, 'alpha', 0.5),
    rounds,
    loops: Object.fromEntries(Object.keys(byLoop).map((k) => [k, positive(byLoop[k], k, 1)])),
  };
}

function refuseUnknown(value: object, known: readonly string[], where: string): void {
  const unknown = Object.keys(value).filter((k) => !known.includes(k));
  if (unknown.length > 0) {
    throw new GateInputError(`${where}: unknown ${unknown.join(', ')}; known are ${known.join(', ')}`);
  }
}

function share(
  given: Readonly<Record<string, unknown>>,
  key: keyof Omit<Thresholds, 'loops'>,
  max: number,
): number {
  return positive(given[key] ?? DEFAULTS[key], key, max);
}

function positive(x: unknown, key: string, max: number): number {
  if (typeof x === 'number' && x > 0 && x <= max) return x;
  throw new GateInputError(`${key}: needs a number above 0 and at most ${max}`);
}
