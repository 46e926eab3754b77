/** `compare gate`: this build against a baseline, from fates that must not flip to nanoseconds that may not grow. */
import { resolve } from 'node:path';
import type { Baseline, GateResult, GateRow } from '../../../reports/gate/model.ts';
import type { Thresholds } from '../../../reports/gate/thresholds.ts';
import type { Scenario } from '../../../scenarios/index.ts';
import { defineCommand } from '../../command.ts';
import { byName } from '../../input/mistyped.ts';
import { type ExitCode, firstLine, type Io, UsageError } from '../../io.ts';
import { type OutputFile, openOutput } from '../../output/output.ts';
import { createProgress } from '../../output/progress.ts';

const FORMATS = ['text', 'json', 'md', 'junit', 'github'] as const;
/** The strategy whose loops tiers 2 and 3 measure: the flagged slot. */
const MEASURED = 'readonly-memslot';
const SEED = 20120814;

/** The `gate` command. */
export const gate = defineCommand({
  usage: 'gate',
  says: 'Compare this build with a baseline: fates, counters, instructions, times; fails closed',
  options: {
    baseline: { type: 'string', requiresArg: true, describe: 'File with what is to be compared with' },
    update: { type: 'boolean', default: false, describe: 'Write the baseline instead of comparing with it' },
    thresholds: {
      type: 'string',
      requiresArg: true,
      describe: 'JSON file with limits; unknown keys are refused',
    },
    scenario: { type: 'string', array: true, requiresArg: true, describe: 'Tier 0: only these scenarios' },
    instructions: { type: 'boolean', default: false, describe: 'Tier 2: count instructions with valgrind' },
    'baseline-build': {
      type: 'string',
      requiresArg: true,
      describe: "Tier 3: another build's dist folder, timed against this one in alternating processes",
    },
    strategy: { type: 'string', default: MEASURED, requiresArg: true, describe: 'Strategy of tiers 2 and 3' },
    ms: {
      type: 'number',
      default: 40,
      requiresArg: true,
      describe: 'Tier 3: milliseconds a loop in a process',
    },
    result: {
      type: 'string',
      requiresArg: true,
      describe: 'Print a result that --format json wrote; measures nothing',
    },
    strict: { type: 'boolean', default: false, describe: 'Inconclusive fails too' },
    'self-test': {
      type: 'boolean',
      default: false,
      describe: 'Try the gate itself out, planted slowdowns and all',
    },
    aa: { type: 'number', default: 0, requiresArg: true, describe: 'With --self-test: A/A runs of tier 3' },
    quick: { type: 'boolean', default: false, describe: 'With --self-test: only what takes no time' },
    format: { choices: FORMATS, default: 'text', requiresArg: true, describe: 'How to print it' },
    out: { type: 'string', requiresArg: true, describe: 'Write it to this file instead' },
  },
  examples: [
    ['$0 gate --baseline gate.json --update', 'write the baseline'],
    ['$0 gate --baseline gate.json --baseline-build ../main/dist', 'and the wall clock as well'],
    ['$0 gate --self-test', 'does the gate catch what it should?'],
  ],
  async run(args, io) {
    const strategy = byName(
      args.strategy,
      (await import('../../../strategies/index.ts')).STRATEGIES,
      'strategy',
    );
    const limits = await readThresholds(args.thresholds, io);
    if (!(args.ms > 0 && args.ms <= 10_000)) throw new UsageError(`--ms ${args.ms}: needs 1 to 10000`);
    if (!(Number.isSafeInteger(args.aa) && args.aa >= 0))
      throw new UsageError(`--aa ${args.aa}: needs a whole number`);
    const { SCENARIOS } = await import('../../../scenarios/index.ts');
    const scenarios = args.scenario?.map((n) => byName(n, SCENARIOS, 'scenario')) ?? SCENARIOS;
    const measured = { limits, ms: args.ms, strategy, scenarios };
    if (args['self-test']) return runSelfTest({ ...args, ...measured }, io);
    const file = args.out === undefined ? undefined : await openOutput('--out', args.out, io.cwd);
    if (args.result !== undefined) return print(await readResult(args.result, io), args, file, io);
    if (args.baseline === undefined) throw new UsageError('gate needs --baseline FILE, or --self-test');
    if (args.update) return update(args.baseline, { ...args, ...measured }, io);
    const result = await judge(await readBaseline(args.baseline, io), { ...args, ...measured }, io);
    return result === undefined ? 130 : print(result, args, file, io);
  },
});

async function print(
  result: GateResult,
  how: { readonly format: (typeof FORMATS)[number]; readonly strict: boolean },
  file: OutputFile | undefined,
  io: Io,
): Promise<ExitCode> {
  const [render, { gateExit }] = await Promise.all([
    import('../../../reports/gate/gate-text.ts'),
    import('../../../reports/gate/judge.ts'),
  ]);
  const as = {
    text: render.gateText,
    json: (r: GateResult) => `${JSON.stringify(r, null, 2)}\n`,
    md: render.gateMarkdown,
    junit: render.gateJunit,
    github: render.gateAnnotations,
  };
  if (file) await file.write(as[how.format](result));
  else io.out(as[how.format](result));
  const open = how.strict && result.rows.some((r) => r.verdict === 'inconclusive');
  return gateExit(result) === 0 && open ? 1 : gateExit(result);
}

async function readResult(path: string, io: Io): Promise<GateResult> {
  const { parseResult } = await import('../../../reports/gate/model.ts');
  const value = await readJson('--result', path, io);
  return parsed('--result', path, () => parseResult(value));
}

interface Measured {
  readonly limits: Thresholds;
  readonly ms: number;
  readonly scenarios: readonly Scenario[];
  readonly strategy: { readonly name: string };
  readonly instructions: boolean;
}

async function readJson(option: string, path: string, io: Io): Promise<unknown> {
  const { readFile } = await import('node:fs/promises');
  try {
    return JSON.parse(await readFile(resolve(io.cwd, path), 'utf8'));
  } catch (error) {
    throw new UsageError(`${option} ${path}: cannot be read: ${firstLine(error)}`);
  }
}

/** A usage error with the file's name where its content is refused. */
async function parsed<T>(option: string, path: string, parse: () => T): Promise<T> {
  const { GateInputError } = await import('../../../reports/gate/model.ts');
  try {
    return parse();
  } catch (error) {
    if (error instanceof GateInputError) throw new UsageError(`${option} ${path}: ${error.message}`);
    throw error;
  }
}

async function readThresholds(path: string | undefined, io: Io): Promise<Thresholds> {
  const { DEFAULTS, parseThresholds } = await import('../../../reports/gate/thresholds.ts');
  if (path === undefined) return DEFAULTS;
  const { OPS } = await import('../../../engine/core/batch/loops.ts');
  const value = await readJson('--thresholds', path, io);
  return parsed('--thresholds', path, () => parseThresholds(value, OPS));
}

async function readBaseline(path: string, io: Io): Promise<Baseline> {
  const { parseBaseline } = await import('../../../reports/gate/model.ts');
  const value = await readJson('--baseline', path, io);
  return parsed('--baseline', path, () => parseBaseline(value));
}

/** Instructions of the counted loops; refused where they cannot be counted, for a skipped tier is an open gate. */
async function countInstructions(o: Measured, io: Io): Promise<NonNullable<Baseline['instructions']>> {
  const { COUNTED, entryOf, instructionsPerAccess, whyNoInstructions } = await import(
    '../../gate/instructions.ts'
  );
  const entry = entryOf();
  const why = await whyNoInstructions(entry);
  if (why !== undefined) throw new UsageError(`--instructions: ${why}`);
  const line = createProgress(io);
  const cells: Record<string, Record<string, number>> = {};
  for (const op of COUNTED) {
    line.show(`instructions of ${op}`);
    const perAccess = await instructionsPerAccess(entry, o.strategy.name, op, 0, io.signal);
    cells[`${op} / ${o.strategy.name}`] = { 'instructions/access': perAccess };
  }
  line.clear();
  return cells;
}

async function update(path: string, o: Measured, io: Io): Promise<ExitCode> {
  const file = await openOutput('--baseline', path, io.cwd);
  const { measureBaseline } = await import('../../gate/baseline.ts');
  const baseline = await measureBaseline(o.scenarios, io);
  if (baseline === undefined) return 130;
  const instructions = o.instructions ? { instructions: await countInstructions(o, io) } : {};
  await file.write(`${JSON.stringify({ ...baseline, ...instructions }, null, 2)}\n`);
  io.err(`${io.name}: wrote ${path}\n`);
  return 0;
}

async function judge(
  before: Baseline,
  o: Measured & { readonly 'baseline-build'?: string | undefined },
  io: Io,
): Promise<GateResult | undefined> {
  const { gateResult, judgeExact, judgeInstructions } = await import('../../../reports/gate/judge.ts');
  const { measureBaseline } = await import('../../gate/baseline.ts');
  const now = await measureBaseline(o.scenarios, io);
  if (now === undefined) return undefined;
  const rows: GateRow[] = [
    ...judgeExact(0, before.fates, now.fates),
    ...judgeExact(1, before.counters, now.counters),
  ];
  const power = ['tiers 0 and 1 see every difference'];
  if (o.instructions) {
    if (before.instructions === undefined) {
      throw new UsageError('--instructions: the baseline has none; write it with --update --instructions');
    }
    if (before.node !== process.version) {
      throw new UsageError(
        `--instructions: the baseline is of Node ${before.node}, this is ${process.version}`,
      );
    }
    rows.push(
      ...judgeInstructions(before.instructions, await countInstructions(o, io), o.limits.instructions),
    );
    power.push(`tier 2 sees ${(100 * o.limits.instructions).toFixed(1)} % more instructions`);
  }
  if (o['baseline-build'] !== undefined) {
    const timed = await judgeBuilds(resolve(io.cwd, o['baseline-build']), o, io);
    rows.push(...timed.rows);
    power.push(timed.power);
  }
  return gateResult(rows, power);
}

async function judgeBuilds(
  dist: string,
  o: Measured,
  io: Io,
): Promise<{ readonly rows: readonly GateRow[]; readonly power: string }> {
  const [{ entryOf }, { timeBuilds, whyNoTimes }] = await Promise.all([
    import('../../gate/instructions.ts'),
    import('../../gate/times.ts'),
  ]);
  const [before, after] = [{ entry: entryOf(dist) }, { entry: entryOf() }];
  const why = whyNoTimes(before) ?? whyNoTimes(after);
  if (why !== undefined) throw new UsageError(`--baseline-build: ${why}`);
  const line = createProgress(io);
  const timed = await timeBuilds(before, after, {
    strategy: o.strategy.name,
    limits: o.limits,
    ms: o.ms,
    seed: SEED,
    signal: io.signal,
    onRound: (i, n) => line.show(`times, round ${i + 1} of ${n}`),
  });
  line.clear();
  return timed;
}

async function runSelfTest(
  o: Measured & { readonly aa: number; readonly quick: boolean; readonly format: (typeof FORMATS)[number] },
  io: Io,
): Promise<ExitCode> {
  const { selfTest } = await import('../../gate/self-test.ts');
  const { findStrategy } = await import('../../../strategies/index.ts');
  const strategy = findStrategy(o.strategy.name);
  if (strategy === undefined) throw new UsageError(`--strategy ${o.strategy.name}: there is none`);
  const line = createProgress(io);
  const trials = await selfTest({
    strategy,
    instructions: !o.quick,
    times: !o.quick,
    aa: o.aa,
    limits: o.limits,
    ms: o.ms,
    seed: SEED,
    signal: io.signal,
    onStep: (what) => line.show(what),
  });
  line.clear();
  if (o.format === 'json') io.out(`${JSON.stringify(trials, null, 2)}\n`);
  else {
    const word = (passed: boolean | undefined): string =>
      passed === undefined ? 'skipped' : passed ? 'ok' : 'NOT OK';
    io.out(trials.map((t) => `${word(t.passed)} ${t.says}: ${t.seen}\n`).join(''));
  }
  return trials.every((t) => t.passed !== false) ? 0 : 1;
}
