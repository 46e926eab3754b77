/** `compare bench`: what the hot loops of the fault path take on this machine, alone or against the C port. */
import type { CReport } from '../../bench/formats.ts';
import { defineCommand } from '../../command.ts';
import { byName } from '../../input/mistyped.ts';
import { type ExitCode, type Io, UsageError } from '../../io.ts';
import { openOutput } from '../../output/output.ts';
import { createProgress } from '../../output/progress.ts';

const FORMATS = ['table', 'json', 'github-action-benchmark', 'bmf', 'gobench'] as const;
const SMOKE = { ms: 2, samples: 2 };
const FULL = { ms: 120, samples: 10 };

/** The `bench` command. */
export const bench = defineCommand({
  usage: 'bench',
  says: "Time the fault path's hot loops under every strategy, alone or against a C program that does the same",
  options: {
    strategy: { type: 'string', array: true, requiresArg: true, describe: 'Only these strategies' },
    smoke: { type: 'boolean', default: false, describe: 'As short as it can be: to see that all of it runs' },
    against: { choices: ['c'], requiresArg: true, describe: 'Compile the C port and alternate with it' },
    processes: { type: 'number', default: 3, requiresArg: true, describe: 'Fresh processes with --against' },
    pairs: {
      type: 'number',
      default: 15,
      requiresArg: true,
      describe: 'Pairs of slices a loop with --against',
    },
    format: { choices: FORMATS, default: 'table', requiresArg: true, describe: 'How to print it' },
    out: { type: 'string', requiresArg: true, describe: 'Write it to this file instead' },
  },
  examples: [
    ['$0 bench --strategy readonly-memslot', 'the hot loops under one strategy'],
    ['$0 bench --against c --format json', 'ratios to C, row by row, and how they grow'],
  ],
  async run(args, io) {
    const file = args.out === undefined ? undefined : await openOutput('--out', args.out, io.cwd);
    const { STRATEGIES } = await import('../../../strategies/index.ts');
    const strategies = args.strategy?.map((n) => byName(n, STRATEGIES, 'strategy')) ?? STRATEGIES;
    const print = async (text: string): Promise<void> => (file ? file.write(text) : io.out(text));
    if (args.against === 'c') {
      const counts = { processes: whole('--processes', args.processes), pairs: whole('--pairs', args.pairs) };
      if (args.format !== 'json' && args.format !== 'table') {
        throw new UsageError(`--format ${args.format}: --against c is printed as table or json`);
      }
      const effort = args.smoke ? { processes: 1, pairs: 2 } : counts;
      return againstC(
        strategies.map((s) => s.name),
        effort,
        args.format,
        print,
        io,
      );
    }
    const [{ timeLoops }, formats] = await Promise.all([
      import('../../bench/time-loops.ts'),
      import('../../bench/formats.ts'),
    ]);
    const line = createProgress(io);
    const report = await timeLoops(strategies, args.smoke ? SMOKE : FULL, io.signal, (done, total, name) =>
      line.show(`${done}/${total} ${name}`),
    );
    line.clear();
    const as = {
      table: formats.benchTable,
      json: (r: typeof report) => `${JSON.stringify(r, null, 2)}\n`,
      'github-action-benchmark': formats.githubActionBenchmark,
      bmf: formats.bencherMetricFormat,
      gobench: formats.goBench,
    };
    await print(as[args.format](report));
    return io.signal.aborted ? 130 : 0;
  },
});

function whole(option: string, n: number): number {
  if (Number.isSafeInteger(n) && n > 0 && n <= 1000) return n;
  throw new UsageError(`${option} ${n}: needs a whole number from 1 to 1000`);
}

async function againstC(
  strategies: readonly string[],
  effort: Pick<CReport, 'processes' | 'pairs'>,
  format: 'json' | 'table',
  print: (text: string) => Promise<void>,
  io: Io,
): Promise<ExitCode> {
  const [{ buildAddon }, processes, { againstCTable }] = await Promise.all([
    import('../../bench/addon.ts'),
    import('../../bench/processes.ts'),
    import('../../bench/formats.ts'),
  ]);
  const addon = await buildAddon();
  const reason =
    'reason' in addon ? addon.reason : processes.hasWorker() ? undefined : 'it needs the built program';
  if ('reason' in addon || reason !== undefined) {
    const skipped = { rows: [], scaling: null, skipped: reason };
    await print(format === 'json' ? `${JSON.stringify(skipped)}\n` : `skipped: ${reason}\n`);
    return 0;
  }
  const line = createProgress(io);
  try {
    const rows = [];
    const scaling = [];
    for (let i = 0; i < effort.processes; i++) {
      line.show(`process ${i + 1} of ${effort.processes}`);
      const task = { addon: addon.path, pairs: effort.pairs, strategies };
      rows.push(await processes.inFreshProcess({ what: 'rows', ...task }, io.signal));
      scaling.push(await processes.inFreshProcess({ what: 'scaling', ...task }, io.signal));
    }
    const merged = processes.mergeScaling(scaling);
    if (merged === undefined) throw new Error('no process answered');
    const report: CReport = {
      rows: processes.mergeRows(rows),
      scaling: merged,
      compiler: addon.compiler,
      ...effort,
    };
    line.clear();
    await print(format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : againstCTable(report));
    return 0;
  } catch (error) {
    if (io.signal.aborted) return 130;
    throw error;
  } finally {
    line.clear();
    await addon.remove();
  }
}
