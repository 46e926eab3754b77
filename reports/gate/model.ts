/** What a gate compares, as plain JSON, and how a baseline is read: nothing missing, nothing unknown, no NaN. */

/** Changes when a reader of a baseline would have to change. */
export const BASELINE_SCHEMA = 'faultline-baseline/1';

/** What can be said of one metric. */
export type GateVerdict =
  | 'regression'
  | 'improvement'
  | 'unchanged'
  /** The difference may be there or not: more rounds would tell. */
  | 'inconclusive'
  /** Too few rounds for any answer. */
  | 'insufficient'
  /** Not comparable: missing, not a number, renamed. */
  | 'invalid';

/** Tier 0: fates and claims. 1: counters. 2: instructions. 3: wall clock. */
export type Tier = 0 | 1 | 2 | 3;

/** A metric of a cell: a count, or a word that has to be the same. */
export type Metric = number | string;

/** Cells by name (`rom-write / coexist`), each with its metrics by name. */
export type Cells = Readonly<Record<string, Readonly<Record<string, Metric>>>>;

/** What `gate --update` writes. */
export interface Baseline {
  readonly schema: typeof BASELINE_SCHEMA;
  /** Version of the program that measured it. */
  readonly version: string;
  /** Instructions depend on it; counters do not. */
  readonly node: string;
  readonly fates: Cells;
  readonly counters: Cells;
  /** Instructions an access, where they were counted. */
  readonly instructions?: Cells;
}

/** One compared metric. */
export interface GateRow {
  readonly tier: Tier;
  readonly cell: string;
  readonly metric: string;
  readonly verdict: GateVerdict;
  readonly before: string;
  readonly after: string;
  /** Why, in a sentence; empty for what is unchanged. */
  readonly says: string;
}

/** A gate's result. */
export interface GateResult {
  readonly rows: readonly GateRow[];
  /** Metrics compared, and how many there were to compare. */
  readonly compared: number;
  readonly expected: number;
  /** What size of slowdown would have been seen, a sentence a tier. */
  readonly power: readonly string[];
}

/** Input that a gate refuses to judge by. */
export class GateInputError extends Error {
  override readonly name = 'GateInputError';
}

const KEYS = ['schema', 'version', 'node', 'fates', 'counters', 'instructions'];

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x);

/** Reads a baseline from parsed JSON; throws a GateInputError that says what is wrong. */
export function parseBaseline(value: unknown): Baseline {
  if (!isRecord(value)) throw new GateInputError('a baseline is a JSON object');
  const unknown = Object.keys(value).filter((k) => !KEYS.includes(k));
  if (unknown.length > 0) throw new GateInputError(`unknown keys: ${unknown.join(', ')}`);
  const { schema, version, node, fates, counters, instructions } = value;
  if (schema !== BASELINE_SCHEMA) throw new GateInputError(`schema is not ${BASELINE_SCHEMA}`);
  if (typeof version !== 'string' || typeof node !== 'string') {
    throw new GateInputError('version and node have to be text');
  }
  return {
    schema: BASELINE_SCHEMA,
    version,
    node,
    fates: parseCells(fates, 'fates'),
    counters: parseCells(counters, 'counters'),
    ...(instructions === undefined ? {} : { instructions: parseCells(instructions, 'instructions') }),
  };
}

/** Cells, none of them empty, every number a number. */
function parseCells(value: unknown, where: string): Cells {
  if (!isRecord(value) || Object.keys(value).length === 0) throw new GateInputError(`${where}: no cells`);
  for (const [cell, metrics] of Object.entries(value)) {
    if (!isRecord(metrics) || Object.keys(metrics).length === 0) {
      throw new GateInputError(`${where}: ${cell} has no metrics`);
    }
    for (const [metric, x] of Object.entries(metrics)) {
      const good = typeof x === 'string' || (typeof x === 'number' && Number.isFinite(x));
      if (!good) throw new GateInputError(`${where}: ${cell}: ${metric} is neither a number nor text`);
    }
  }
  return value as Cells;
}

const VERDICTS = ['regression', 'improvement', 'unchanged', 'inconclusive', 'insufficient', 'invalid'];

/** Reads a result that was saved as JSON, to print it in another form. */
export function parseResult(value: unknown): GateResult {
  if (!isRecord(value)) throw new GateInputError('a result is a JSON object');
  const { rows, compared, expected, power } = value;
  const texts = ['cell', 'metric', 'before', 'after', 'says'];
  const isRow = (x: unknown): boolean =>
    isRecord(x) &&
    [0, 1, 2, 3].includes(Number(x.tier)) &&
    VERDICTS.includes(String(x.verdict)) &&
    texts.every((k) => typeof x[k] === 'string');
  const numbers = Number.isSafeInteger(compared) && Number.isSafeInteger(expected);
  const lines = Array.isArray(power) && power.every((p) => typeof p === 'string');
  if (!numbers || !lines || !Array.isArray(rows) || !rows.every(isRow) || rows.length !== expected) {
    throw new GateInputError('not a result that compare gate --format json wrote');
  }
  return { rows, compared: Number(compared), expected: rows.length, power };
}
