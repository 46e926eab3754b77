/** A Comparison read back from a file: checked as a whole, so that a report never trips over half of one. */
import { z } from 'zod';
import { EXIT_KINDS } from '../../engine/exits.ts';
import { ENGINES } from '../../engine/machine.ts';
import { FAULT_KINDS } from '../../engine/observation.ts';
import { DECISIONS } from '../../engine/policy.ts';
import { COMPARISON_SCHEMA, type Comparison, FATES, NOT_OBSERVABLE } from '../../scenarios/run/comparison.ts';
import { readJson } from './input.ts';

const count = z.number().nonnegative();
const counts = <const K extends string>(keys: readonly K[]) => z.record(z.enum(keys), count);
const texts = z.record(z.string(), z.union([z.number(), z.string()]));

const patch = z.looseObject({
  name: z.string(),
  subject: z.string(),
  source: z.string(),
  decisions: z.array(z.enum(DECISIONS)),
});

const strategy = z.looseObject({
  name: z.string(),
  cover: z.string(),
  source: z.string(),
  layout: z.string(),
  series: z.array(patch),
  cross: z
    .looseObject({ of: z.string(), added: z.array(z.string()), leftOut: z.array(z.string()) })
    .optional(),
});

const scenario = z.looseObject({
  name: z.string(),
  asks: z.string(),
  operation: z.string(),
  source: z.string(),
  params: texts,
});

const lifeStep = z.looseObject({
  at: z.string(),
  says: z.string(),
  decision: z.enum(DECISIONS).optional(),
  patch: z.string().optional(),
  facts: z.string().optional(),
  instructions: z.number().optional(),
});

const life = z.looseObject({
  rip: z.string(),
  instruction: z.string(),
  gpa: z.string(),
  linear: z.string().optional(),
  access: z.enum(['read', 'write', 'fetch']),
  facts: z.string(),
  // Lives of version 0.1.0 do not count their faults.
  faults: z.partialRecord(z.enum(FAULT_KINDS), count).default({}),
  steps: z.array(lifeStep),
  untold: count.optional(),
});

const cost = z.looseObject({
  profile: z.string(),
  total: z.number(),
  perOperation: z.number(),
  byStep: z.record(z.string(), z.number()),
});

const timing = z.looseObject({ nsPerOp: count, mad: count, samples: count, raw: z.array(z.number()) });

const run = z.looseObject({
  scenario: z.string(),
  strategy: z.string(),
  paging: z.enum(['npt', 'shadow']),
  engine: z.enum(ENGINES),
  fate: z.enum(FATES),
  detail: z.string(),
  finding: z.string().optional(),
  because: z.string(),
  exits: counts(EXIT_KINDS),
  faults: counts(FAULT_KINDS).optional(),
  slotOps: count,
  romIntact: z.boolean(),
  operations: count,
  decisions: counts(DECISIONS).optional(),
  steps: z.record(z.string(), count).optional(),
  stepsPerOperation: count.optional(),
  cost: cost.optional(),
  measured: z.looseObject({ runs: count, total: count, median: count }).optional(),
  timing: timing.optional(),
  predictions: z.array(
    z.looseObject({ quantity: z.string(), formula: z.string(), predicted: z.number(), measured: z.number() }),
  ),
  claims: z.array(
    z.looseObject({
      claim: z.string(),
      source: z.string(),
      holds: z.union([z.boolean(), z.literal(NOT_OBSERVABLE)]),
      seen: z.string().optional(),
    }),
  ),
  life: z.array(life).optional(),
  romWrites: z.array(
    z.looseObject({ rip: z.string(), gpa: z.string(), data: z.string(), became: z.string() }),
  ),
  digest: z.string().optional(),
});

const comparison = z.looseObject({
  schema: z.literal(COMPARISON_SCHEMA),
  version: z.string(),
  command: z.string(),
  seed: z.number(),
  paging: z.enum(['npt', 'shadow']),
  profile: z.string().optional(),
  strategies: z.array(strategy),
  scenarios: z.array(scenario),
  runs: z.preprocess(withNewWords, z.array(run)),
  conformance: z.record(z.string(), z.looseObject({ cases: count, agree: count })).optional(),
  interrupted: z.boolean().optional(),
  kernels: z
    .array(z.looseObject({ name: z.string(), engine: z.enum(ENGINES), version: z.string() }))
    .optional(),
  leftOut: z.array(z.string()).optional(),
});

/** Counts by a word each, of a list that grows. */
const COUNTED = { exits: EXIT_KINDS, faults: FAULT_KINDS, decisions: DECISIONS } as const;

/** A word that no run of the file has did not exist for the version that wrote it: nothing of the kind happened. */
function withNewWords(runs: unknown): unknown {
  if (!Array.isArray(runs) || !runs.every(isObject)) return runs;
  return Object.entries(COUNTED).reduce<readonly Record<string, unknown>[]>((all, [field, words]) => {
    const counted = all.map((r) => r[field]).filter(isObject);
    const unheard = words.filter((word) => !counted.some((counts) => word in counts));
    const none = Object.fromEntries(unheard.map((word) => [word, 0]));
    return all.map((r) => (isObject(r[field]) ? { ...r, [field]: { ...r[field], ...none } } : r));
  }, runs);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads and checks a Comparison that `compare --format json` wrote. */
export async function readComparison(path: string, cwd: string): Promise<Comparison> {
  // The schema is the interface, written once more for values from outside; the types agree by the test beside it.
  return (await readJson(path, cwd, comparison, 'a Comparison')) as unknown as Comparison;
}
