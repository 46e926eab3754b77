/**
 * A scenario of somebody's own, asked once everything that needs no machine: an author's slip is told before anything
 * runs, and not as a broken claim or a dead guest.
 */
import { z } from 'zod';
import { EXIT_KINDS } from '../../engine/exits.ts';
import type { Paging } from '../../engine/machine.ts';
import type { ClaimRow } from '../language/claims.ts';
import { nearest } from '../language/nearest.ts';
import type { AnyParams } from '../language/params.ts';
import { isPromise, promised } from '../language/promise.ts';
import type { Scenario } from '../language/scenario.ts';
import { complaint, strict } from '../language/strict.ts';
import { FATES } from './comparison.ts';
import { prepareProgram, REGISTER_ORDER } from './run.ts';

/** Operations are counted in ebp. */
const OPERATIONS_END = 2 ** 32;

const count = z.union([z.number(), strict({ formula: z.string(), value: z.number() })], {
  error: 'expected a number, or count(formula, value)',
});
const exits = strict(
  Object.fromEntries(EXIT_KINDS.map((kind) => [kind, count.optional()])) as Record<
    (typeof EXIT_KINDS)[number],
    z.ZodOptional<typeof count>
  >,
);
const row = strict({
  fate: z.enum(FATES),
  source: z.string(),
  exits: exits.optional(),
  slotOps: count.optional(),
  operations: count.optional(),
  romIntact: z.boolean().optional(),
  observed: z.record(z.string(), z.union([count, z.string()])).optional(),
} satisfies { readonly [K in keyof ClaimRow]-?: z.ZodType });
const rows = z.record(z.string(), row, { error: 'expected an object of rows by strategy' });
const registers = strict(
  Object.fromEntries(REGISTER_ORDER.map((r) => [r, z.number().optional()])) as Record<
    string,
    z.ZodOptional<z.ZodNumber>
  >,
);

/** What a scenario is tried with. */
export interface Trying {
  readonly params: AnyParams;
  readonly paging: Paging;
  readonly seed: number;
  /** The strategies there are, for claims about one that is not. */
  readonly strategies: readonly string[];
}

/** What is wrong with what a scenario answers, in one line, or undefined. May throw what the scenario throws. */
export function tryScenario(
  scenario: Scenario,
  { params, paging, seed, strategies }: Trying,
): string | undefined {
  const operations = scenario.operations(params);
  if (!Number.isInteger(operations) || operations < 0 || operations >= OPERATIONS_END) {
    return `operations() answers ${show(operations)}; it has to be a whole number from 0 and below 2^32`;
  }
  const claims = scenario.claims?.({ params, paging });
  const wrong =
    claims === undefined ? undefined : (refused('claims()', claims, rows) ?? unclaimed(claims, strategies));
  if (wrong !== undefined) return wrong;
  const program = prepareProgram(scenario, params, seed);
  const expected = scenario.expect?.(program.places, params);
  return expected === undefined ? undefined : refused('expect()', expected, registers);
}

function refused(what: string, value: unknown, schema: z.ZodType): string | undefined {
  if (isPromise(value)) return promised(what);
  const result = schema.safeParse(value);
  return result.success ? undefined : `${what}: ${complaint(result.error)}`;
}

/** A claim about a strategy that is not there but nearly: a user's own strategies have other names. */
function unclaimed(claims: object, strategies: readonly string[]): string | undefined {
  for (const name of Object.keys(claims)) {
    if (strategies.includes(name)) continue;
    const near = nearest(name, strategies, 2);
    if (near !== undefined) return `claims(): no strategy is called '${name}'. Did you mean ${near}?`;
  }
  return undefined;
}

const show = (value: unknown): string => (typeof value === 'number' ? `${value}` : `a ${typeof value}`);
