/** The claims of a scenario: what its author says each strategy does, and how a run is held against it. */
import { type ExitKind, exitKindsIn } from '../../engine/exits.ts';
import type { StrategyName } from '../../strategies/names.ts';
import { type ClaimResult, type Fate, NOT_OBSERVABLE, type Prediction, type Run } from '../run/comparison.ts';

/** A count, alone or with the formula it comes from. */
export type Count = number | { readonly formula: string; readonly value: number };

/** A count that has a closed form: `count('2 N + 1', 2 * n + 1)`. */
export const count = (formula: string, value: number): Count => ({ formula, value });

/** What is claimed of one scenario under one strategy. */
export interface ClaimRow {
  readonly fate: Fate;
  /** Message of the thread, kernel function or our own reasoning. */
  readonly source: string;
  readonly exits?: Readonly<Partial<Record<ExitKind, Count>>>;
  readonly slotOps?: Count;
  readonly operations?: Count;
  /** Claimed true unless the fate is `corrupt`, where it is claimed only if given. */
  readonly romIntact?: boolean;
  /** Values of `ScenarioSpec.observe`. */
  readonly observed?: Readonly<Record<string, Count | string>>;
}

type Row = Omit<ClaimRow, 'fate' | 'source'>;

const NO_MEMORY_EXITS = Object.fromEntries(exitKindsIn('memory').map((kind) => [kind, 0]));

/** The guest finishes, and the ROM is as it was; exits for memory that are not named are claimed not to happen. */
export const lives = (source: string, row: Row = {}): ClaimRow => ({
  fate: 'ok',
  source,
  ...row,
  exits: { ...NO_MEMORY_EXITS, ...row.exits },
});

/** The guest ends otherwise. */
export const ends = (fate: Exclude<Fate, 'ok'>, source: string, row: Row = {}): ClaimRow => ({
  fate,
  source,
  ...row,
});

/** The table of a scenario of this program: the compiler asks for a row a strategy, and admits crosses. */
export const everyStrategy = (
  rows: Readonly<Record<StrategyName, ClaimRow>>,
  crosses: Readonly<Record<string, ClaimRow>> = {},
): Readonly<Record<string, ClaimRow>> => ({ ...rows, ...crosses });

/** The same row for several strategies. */
export function same<N extends string>(names: readonly N[], row: ClaimRow): Record<N, ClaimRow> {
  return Object.fromEntries(names.map((n) => [n, row])) as Record<N, ClaimRow>;
}

const valueIn = (c: Count): number => (typeof c === 'number' ? c : c.value);
const show = (c: Count | string): string => (typeof c === 'object' ? `${c.formula} = ${c.value}` : String(c));

/** What a run has that claims are about. */
type Claimed = Pick<Run, 'fate' | 'exits' | 'slotOps' | 'operations' | 'romIntact'>;
type Observed = Readonly<Record<string, number | string>>;

/** Every claim of a row, checked against what was measured. */
export function checkClaims(row: ClaimRow, run: Claimed, observed: Observed): ClaimResult[] {
  const results: ClaimResult[] = [];
  const check = (claim: string, holds: boolean, seen: string): void => {
    results.push({ claim, source: row.source, holds, ...(holds ? {} : { seen }) });
  };
  check(`fate is ${row.fate}`, run.fate === row.fate, run.fate);
  const intact = row.romIntact ?? (row.fate === 'corrupt' ? undefined : true);
  if (intact !== undefined) {
    check(
      `the ROM ${intact ? 'keeps' : 'loses'} its bytes`,
      run.romIntact === intact,
      intact ? 'it lost them' : 'it kept them',
    );
  }
  for (const [kind, c] of Object.entries(row.exits ?? {})) {
    const seen = run.exits[kind as ExitKind];
    check(`${kind} exits are ${show(c)}`, seen === valueIn(c), String(seen));
  }
  if (row.slotOps !== undefined) {
    check(
      `slot operations are ${show(row.slotOps)}`,
      run.slotOps === valueIn(row.slotOps),
      String(run.slotOps),
    );
  }
  if (row.operations !== undefined) {
    check(
      `operations done are ${show(row.operations)}`,
      run.operations === valueIn(row.operations),
      String(run.operations),
    );
  }
  for (const [name, c] of Object.entries(row.observed ?? {})) {
    const seen = observed[name];
    if (seen === NOT_OBSERVABLE)
      results.push({ claim: `${name} is ${show(c)}`, source: row.source, holds: NOT_OBSERVABLE });
    else check(`${name} is ${show(c)}`, seen === (typeof c === 'string' ? c : valueIn(c)), String(seen));
  }
  return results;
}

/** The counts of a row that have a closed form, beside what was measured. */
export function predictionsOf(row: ClaimRow, run: Claimed, observed: Observed): Prediction[] {
  const predictions: Prediction[] = [];
  const add = (quantity: string, c: Count | string | undefined, measured: unknown): void => {
    if (typeof c !== 'object' || typeof measured !== 'number') return;
    predictions.push({ quantity, formula: c.formula, predicted: c.value, measured });
  };
  for (const [kind, c] of Object.entries(row.exits ?? {}))
    add(`exits.${kind}`, c, run.exits[kind as ExitKind]);
  add('slotOps', row.slotOps, run.slotOps);
  add('operations', row.operations, run.operations);
  for (const [name, c] of Object.entries(row.observed ?? {})) add(name, c, observed[name]);
  return predictions;
}
