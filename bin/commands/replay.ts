/** `compare replay`: what a real machine did, run again under every strategy and held against what was recorded. */
import type { ReplayReport } from '../../scenarios/traces/replay/replay-report.ts';
import { defineCommand } from '../command.ts';
import { type ExitCode, type Io, UsageError } from '../io.ts';
import { openOutput } from '../output/output.ts';
import { planOf, RUN_OPTIONS } from '../run/plan.ts';

/** The `replay` command. */
export const replay = defineCommand({
  usage: 'replay <files..>',
  says: 'Run what a trace of a real kernel recorded again under each strategy: what would have become of that VM?',
  positionals: {
    files: {
      type: 'string',
      array: true,
      describe: 'Traces: ftrace text, trace-cmd report or perf script; QEMU pflash logs',
    },
  },
  options: {
    strategy: RUN_OPTIONS.strategy,
    with: RUN_OPTIONS.with,
    without: RUN_OPTIONS.without,
    profile: RUN_OPTIONS.profile,
    memslots: {
      type: 'string',
      requiresArg: true,
      describe: "QEMU's log of the same run, made with -trace kvm_set_user_memory",
    },
    thread: {
      type: 'number',
      array: true,
      requiresArg: true,
      describe: 'Only what these threads (vCPUs) did',
    },
    'cold-roms': {
      type: 'boolean',
      default: false,
      describe: 'No page of a ROM is in memory when the guest starts',
    },
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
    out: { type: 'string', requiresArg: true, describe: 'Write it to this file instead' },
  },
  examples: [
    [
      '$0 replay trace.txt.gz --memslots memslots.log --strategy mmap-prot-read readonly-memslot',
      'would this boot have survived?',
    ],
  ],
  async run(args, io): Promise<ExitCode> {
    const wrong = args.thread?.find((t) => !Number.isSafeInteger(t) || t < 0);
    if (wrong !== undefined) throw new UsageError(`--thread ${wrong}: needs a whole number, 0 or more`);
    const out = args.out === undefined ? undefined : await openOutput('--out', args.out, io.cwd);
    const plan = await planOf({ ...args, paging: 'npt', seed: 1 }, false, io);
    const { choose } = await import('../run/prepare.ts');
    const { strategies } = await choose(plan);
    const { surveyTraces, replayTraces } = await import('../traces/replay-trace.ts');
    const { describeReading } = await import('../traces/trace-events.ts');
    const request = {
      files: args.files ?? [],
      memslots: args.memslots,
      threads: args.thread,
      coldRoms: args['cold-roms'],
      strategies,
      profile: plan.profile,
    };
    const surveyed = await surveyTraces(request, io);
    if (io.signal.aborted) return 130;
    if (surveyed.survey.accesses === 0 && surveyed.survey.flash.length > 0) {
      const { replayFlash } = await import('../traces/replay-flash.ts');
      const flash = await replayFlash(surveyed.survey.flash, request, io);
      const text = await flash.render(args.format, args.out === undefined ? (io.columns ?? 80) : 100);
      if (out === undefined) io.out(text);
      else await out.write(text);
      if (surveyed.reading.malformed() > 0) io.err(describeReading(surveyed.reading, io.name));
      return io.signal.aborted ? 130 : surveyed.reading.malformed() > 0 ? 1 : 0;
    }
    const report = await replayTraces(request, surveyed, io);
    const text = await render(report, args.format, args.out === undefined ? (io.columns ?? 80) : 100);
    if (out === undefined) io.out(text);
    else await out.write(text);
    if (surveyed.reading.malformed() > 0) io.err(describeReading(surveyed.reading, io.name));
    return codeOf(report, surveyed.reading.malformed(), io);
  },
});

async function render(report: ReplayReport, format: string, width: number): Promise<string> {
  if (format === 'json') return `${JSON.stringify(report, null, 2)}\n`;
  const { replayText } = await import('../../reports/traces/replay-text.ts');
  return replayText(report, width);
}

function codeOf(report: ReplayReport, malformed: number, io: Io): ExitCode {
  if (report.interrupted) {
    io.err(`${io.name}: interrupted: this is what was finished\n`);
    return 130;
  }
  return malformed > 0 || report.strategies.some((s) => s.differences.length > 0) ? 1 : 0;
}
