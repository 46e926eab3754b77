/**
 * What is to be run, in words and numbers alone: the options that say so, and what they come to. A plan can be sent to
 * another process, which looks the names up and loads the modules itself.
 */
import { availableParallelism } from 'node:os';
import type { Options } from 'yargs';
import type { CostProfile } from '../../engine/cost.ts';
import type { Paging } from '../../engine/machine.ts';
import type { Comparison } from '../../scenarios/run/comparison.ts';
import { readProfile } from '../input/costs-input.ts';
import { type Io, UsageError } from '../io.ts';

const list = { type: 'string', array: true, requiresArg: true } as const satisfies Options;

/** The options of every command that runs something. */
export const RUN_OPTIONS = {
  scenario: { ...list, describe: 'Scenarios by name, or your own by path; all when absent' },
  strategy: { ...list, describe: 'Strategies by name, or your own by path; all when absent' },
  with: { ...list, describe: 'Add this patch to each strategy' },
  without: { ...list, describe: 'Leave this patch out of each strategy that has it' },
  vmm: {
    type: 'string',
    requiresArg: true,
    describe: 'Let this VMM answer the exits: qemu, kvmtool, crosvm …',
  },
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
  jobs: {
    type: 'number',
    requiresArg: true,
    describe: 'Runs at the same time; as many as there are processors when absent',
  },
  timeout: {
    type: 'number',
    default: 60,
    requiresArg: true,
    describe: 'Seconds that one run may take',
  },
  memory: {
    type: 'number',
    default: 2048,
    requiresArg: true,
    describe: 'MiB of memory that one run may take',
  },
} as const satisfies Readonly<Record<string, Options>>;

/** What those options say, before anything is looked up. */
export interface PlanArgs {
  readonly scenario?: readonly string[] | undefined;
  readonly strategy?: readonly string[] | undefined;
  readonly with?: readonly string[] | undefined;
  readonly without?: readonly string[] | undefined;
  readonly vmm?: string | undefined;
  readonly param?: readonly string[] | undefined;
  readonly profile?: string | undefined;
  readonly paging: Paging;
  readonly seed: number;
  readonly jobs?: number | undefined;
  readonly timeout?: number | undefined;
  readonly memory?: number | undefined;
}

/** A strategy by name or path, and a patch of it left out: for `compare series`. */
export interface StrategyWord {
  readonly word: string;
  readonly without?: string;
}

/** How long, how much, how many at once. */
export interface Limits {
  readonly jobs: number;
  /** Seconds a run. */
  readonly timeout: number;
  /** MiB a run. */
  readonly memory: number;
}

/** What is to be run. */
export interface Plan {
  /** Names and paths; undefined for all that come along. */
  readonly scenarios: readonly string[] | undefined;
  readonly strategies: readonly StrategyWord[] | undefined;
  readonly with: readonly string[];
  readonly without: readonly string[];
  /** The VMM whose answers are tried; undefined for each strategy's own. */
  readonly vmm: string | undefined;
  readonly params: Readonly<Record<string, number | string>>;
  readonly paging: Paging;
  readonly seed: number;
  /** What the runs are priced with. */
  readonly profile: CostProfile;
  /** Measure this machine's nanoseconds as well. */
  readonly timing: boolean;
  /** The command line that selects the same again. */
  readonly command: string;
  /** Where relative paths start. */
  readonly cwd: string;
  readonly limits: Limits;
}

/** A plan that has been found to be right, and can be run once. */
export interface Ready {
  readonly run: () => Promise<Comparison>;
  /** Ends what is still running; needed only when `run` is not called. */
  readonly close: () => void;
}

/** A path rather than a name: it has a slash in it or ends like a module. */
export const isPath = (word: string): boolean => /[/\\]/.test(word) || /\.[cm]?[jt]s$/.test(word);

/** The options that bring in modules of the user's, as `--scenario ./mine.mjs`. */
export const modulesOf = (plan: Plan): readonly string[] => [
  ...(plan.scenarios ?? []).filter(isPath).map((path) => `--scenario ${path}`),
  ...(plan.strategies ?? []).filter((s) => isPath(s.word)).map((s) => `--strategy ${s.word}`),
];

/** The plan that options come to; the first thing wrong with their form ends it. */
export async function planOf(args: PlanArgs, timing: boolean, io: Io): Promise<Plan> {
  if (!Number.isSafeInteger(args.seed) || args.seed < 0) {
    throw new UsageError(`--seed ${args.seed}: needs a whole number, 0 or more`);
  }
  return {
    // A name given twice asks the same question twice.
    scenarios: args.scenario && [...new Set(args.scenario)],
    strategies: args.strategy && [...new Set(args.strategy)].map((word) => ({ word })),
    with: args.with ?? [],
    without: args.without ?? [],
    vmm: args.vmm,
    params: parseParams(args.param ?? []),
    paging: args.paging,
    seed: args.seed,
    profile: await readProfile(args.profile, io.cwd),
    timing,
    command: commandLine(args),
    cwd: io.cwd,
    limits: limitsOf(args),
  };
}

/** Most processes at once; beyond it they only cost memory. */
const JOBS_MAX = 256;
/** Seconds of the longest timer there is. */
const TIMEOUT_MAX = 2_000_000;
const MEMORY_MIN = 64;
const MEMORY_MAX = 1_048_576;

/** The limits that options say, with defaults for what they do not. */
function limitsOf({ jobs, timeout, memory }: Pick<PlanArgs, keyof Limits>): Limits {
  const within = (option: string, value: number, min: number, max: number, whole: boolean): number => {
    if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    throw new UsageError(
      `--${option} ${value}: needs a ${whole ? 'whole ' : ''}number from ${min} to ${max}`,
    );
  };
  return {
    jobs: within('jobs', jobs ?? Math.min(JOBS_MAX, availableParallelism()), 1, JOBS_MAX, true),
    timeout: within('timeout', timeout ?? RUN_OPTIONS.timeout.default, 0.1, TIMEOUT_MAX, false),
    memory: within('memory', memory ?? RUN_OPTIONS.memory.default, MEMORY_MIN, MEMORY_MAX, true),
  };
}

/** `k=v` to a record; a value that is a number becomes one. */
function parseParams(words: readonly string[]): Readonly<Record<string, number | string>> {
  const params = new Map<string, number | string>();
  for (const word of words) {
    const [, key, value] = /^([^=\s]+)=(.+)$/s.exec(word) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`--param '${word}': write it as name=value, for example writes=1000`);
    }
    if (params.has(key)) throw new UsageError(`--param ${key} was given twice; give it once`);
    params.set(key, value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : value);
  }
  return Object.fromEntries(params);
}

/** The command line that says the same, defaults left out, fit to be pasted into a shell. */
export function commandLine(args: PlanArgs): string {
  const quote = (word: string): string =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
  const words = ['compare'];
  for (const option of ['scenario', 'strategy', 'with', 'without', 'param'] as const) {
    const values = args[option] ?? [];
    if (values.length > 0) words.push(`--${option}`, ...values.map(quote));
  }
  if (args.vmm !== undefined) words.push('--vmm', quote(args.vmm));
  if (args.profile !== undefined) words.push('--profile', quote(args.profile));
  if (args.paging !== RUN_OPTIONS.paging.default) words.push('--paging', args.paging);
  if (args.seed !== RUN_OPTIONS.seed.default) words.push('--seed', String(args.seed));
  return words.join(' ');
}
