/** Which scenarios and which strategies: the options that say so, and what they come to. */
import type { Options } from 'yargs';
import type { CostProfile } from '../../engine/cost.ts';
import type { Paging } from '../../engine/machine.ts';
import type { Patch } from '../../engine/policy.ts';
import type { Scenario } from '../../scenarios/index.ts';
import type { Strategy } from '../../strategies/index.ts';
import { readProfile } from '../input/costs-input.ts';
import { byName } from '../input/mistyped.ts';
import { type Io, UsageError } from '../io.ts';
import { isPath } from '../modules/load-module.ts';

const list = { type: 'string', array: true, requiresArg: true } as const satisfies Options;

/** The options of every command that runs something. */
export const RUN_OPTIONS = {
  scenario: { ...list, describe: 'Scenarios by name, or your own by path; all when absent' },
  strategy: { ...list, describe: 'Strategies by name, or your own by path; all when absent' },
  with: { ...list, describe: 'Add this patch to each strategy' },
  without: { ...list, describe: 'Leave this patch out of each strategy that has it' },
  paging: {
    choices: ['npt', 'shadow'],
    default: 'npt',
    requiresArg: true,
    describe: 'Nested paging, or shadow page tables',
  },
  profile: {
    type: 'string',
    requiresArg: true,
    describe: 'Cost profile to predict with (compare calibrate makes one); that of Linux 6.1 when absent',
  },
  param: { ...list, describe: "A scenario's parameter: writes=1000" },
  seed: {
    type: 'number',
    default: 1,
    requiresArg: true,
    describe: 'Seed of whatever a scenario draws at random',
  },
} as const satisfies Readonly<Record<string, Options>>;

/** What those options say, before anything is looked up. */
export interface SelectionArgs {
  readonly scenario?: readonly string[] | undefined;
  readonly strategy?: readonly string[] | undefined;
  readonly with?: readonly string[] | undefined;
  readonly without?: readonly string[] | undefined;
  readonly param?: readonly string[] | undefined;
  readonly profile?: string | undefined;
  readonly paging: Paging;
  readonly seed: number;
}

/** What is to be run. */
export interface Selection {
  readonly scenarios: readonly Scenario[];
  readonly strategies: readonly Strategy[];
  readonly params: Readonly<Record<string, number | string>>;
  readonly paging: Paging;
  readonly seed: number;
  /** What the runs are priced with. */
  readonly profile: CostProfile;
  /** The command line that selects the same again. */
  readonly command: string;
  /** Options that brought in modules of the user's, as `--scenario ./mine.mjs`. */
  readonly modules: readonly string[];
}

/** Looks every name up, loads every path, applies the patches; the first thing wrong ends it. */
export async function select(args: SelectionArgs, io: Io): Promise<Selection> {
  if (!Number.isSafeInteger(args.seed) || args.seed < 0) {
    throw new UsageError(`--seed ${args.seed}: needs a whole number, 0 or more`);
  }
  const params = parseParams(args.param ?? []);
  const scenarios = await selectScenarios(args.scenario, io);
  const strategies = await selectStrategies(args, io);
  for (const [kind, chosen] of [
    ['scenario', scenarios],
    ['strategy', strategies],
  ] as const) {
    const twice = chosen.find((c, i) => chosen.findIndex((d) => d.name === c.name) !== i);
    if (twice) throw new UsageError(`--${kind}: '${twice.name}' is there twice; give each its own name`);
  }
  const { paramsFor } = await import('../../scenarios/run/runner.ts');
  const resolved = paramsFor(scenarios, params);
  if ('error' in resolved) throw new UsageError(`--param: ${resolved.error}`);
  const paths = (option: 'scenario' | 'strategy'): string[] =>
    (args[option] ?? []).filter(isPath).map((path) => `--${option} ${path}`);
  const modules = [...paths('scenario'), ...paths('strategy')];
  const { paging, seed } = args;
  const profile = await readProfile(args.profile, io.cwd);
  return { scenarios, strategies, params, paging, seed, profile, command: commandLine(args), modules };
}

async function selectScenarios(words: readonly string[] | undefined, io: Io): Promise<readonly Scenario[]> {
  const { SCENARIOS } = await import('../../scenarios/index.ts');
  if (!words) return SCENARIOS;
  return inOrder(words, async (w) => {
    if (!isPath(w)) return byName(w, SCENARIOS, 'scenario');
    const { loadScenario } = await import('../modules/user-modules.ts');
    return loadScenario(w, io.cwd);
  });
}

async function selectStrategies(args: SelectionArgs, io: Io): Promise<readonly Strategy[]> {
  const { PATCHES, STRATEGIES, withPatches } = await import('../../strategies/index.ts');
  const add = (args.with ?? []).map((w) => byName(w, PATCHES, 'patch'));
  const without = (args.without ?? []).map((w) => byName(w, PATCHES, 'patch').name);
  const both = add.find((p) => without.includes(p.name));
  if (both) throw new UsageError(`--with and --without both name ${both.name}; choose one`);
  const chosen = args.strategy ? await loadStrategies(args.strategy, PATCHES, io) : STRATEGIES;
  const has = (s: Strategy): boolean => without.every((w) => s.series.some((p) => p.name === w));
  // Without --strategy, leaving a patch out is a question about those strategies that have it.
  const asked = args.strategy ? chosen : chosen.filter(has);
  if (asked.length === 0) throw new UsageError(`--without ${without.join(' ')}: no strategy has that`);
  return asked.map((strategy) => {
    const result = withPatches(strategy, add, without);
    if ('error' in result) throw new UsageError(`--without: ${result.error}`);
    return result.strategy;
  });
}

async function loadStrategies(
  words: readonly string[],
  patches: readonly Patch[],
  io: Io,
): Promise<readonly Strategy[]> {
  const { STRATEGIES } = await import('../../strategies/index.ts');
  return inOrder(words, async (w) => {
    if (!isPath(w)) return byName(w, STRATEGIES, 'strategy');
    const { loadStrategy } = await import('../modules/user-modules.ts');
    return loadStrategy(w, io.cwd, patches);
  });
}

/** One after the other, and a name given twice once: `--scenario a --scenario a` asks the same question twice. */
async function inOrder<T>(
  words: readonly string[],
  find: (word: string) => Promise<T>,
): Promise<readonly T[]> {
  const found: T[] = [];
  for (const word of new Set(words)) found.push(await find(word));
  return found;
}

/** `k=v` to a record; a value that is a number becomes one. */
export function parseParams(words: readonly string[]): Readonly<Record<string, number | string>> {
  const params: Record<string, number | string> = {};
  for (const word of words) {
    const [, key, value] = /^([^=\s]+)=(.+)$/s.exec(word) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`--param '${word}': write it as name=value, for example writes=1000`);
    }
    if (Object.hasOwn(params, key)) throw new UsageError(`--param ${key} was given twice; give it once`);
    params[key] = value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : value;
  }
  return params;
}

/** The command line that says the same, defaults left out, fit to be pasted into a shell. */
export function commandLine(args: SelectionArgs): string {
  const quote = (word: string): string =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  const words = ['compare'];
  for (const option of ['scenario', 'strategy', 'with', 'without', 'param'] as const) {
    const values = args[option] ?? [];
    if (values.length > 0) words.push(`--${option}`, ...values.map(quote));
  }
  if (args.profile !== undefined) words.push('--profile', quote(args.profile));
  if (args.paging !== RUN_OPTIONS.paging.default) words.push('--paging', args.paging);
  if (args.seed !== RUN_OPTIONS.seed.default) words.push('--seed', String(args.seed));
  return words.join(' ');
}
