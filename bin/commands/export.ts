/** `compare export`: a run, or a trace of a real kernel, in the formats that people read traces in. */
import { PERF_EVENTS, PERF_KEYS } from '../../reports/traces/perf-kvm.ts';
import { defineCommand } from '../command.ts';
import { type ExitCode, type Io, UsageError } from '../io.ts';
import { openOutput } from '../output/output.ts';
import { planOf, RUN_OPTIONS } from '../run/plan.ts';

const one = { type: 'string', requiresArg: true } as const;

/** The `export` command. */
export const exportTrace = defineCommand({
  usage: 'export [files..]',
  says: 'Write a run, or a trace of a real kernel, as ftrace text, for Perfetto, or as perf kvm stat',
  positionals: {
    files: {
      type: 'string',
      array: true,
      describe: 'Traces to convert; a run (--scenario, --strategy) if absent',
    },
  },
  options: {
    ...RUN_OPTIONS,
    scenario: { ...one, describe: 'The scenario to run, by name or path' },
    strategy: { ...one, describe: 'The strategy to run it under, by name or path' },
    format: {
      choices: ['ftrace', 'perfetto', 'perf-kvm', 'perf-kvm-hist'],
      demandOption: true,
      requiresArg: true,
      describe:
        "The kernel's text, Chrome's JSON for Perfetto, or perf kvm stat report before and from 6.4 on",
    },
    event: {
      choices: PERF_EVENTS,
      default: 'vmexit',
      requiresArg: true,
      describe: 'What perf-kvm counts',
    },
    key: { choices: PERF_KEYS, default: 'sample', requiresArg: true, describe: 'What perf-kvm sorts by' },
    out: { ...one, describe: 'Write it to this file instead' },
  },
  examples: [
    [
      '$0 export --scenario rom-write --strategy readonly-memslot --format perfetto --out run.json',
      'a run, to be opened in ui.perfetto.dev',
    ],
    ['$0 export trace.txt.gz --format perf-kvm', 'what perf would have counted in a trace'],
  ],
  async run(args, io): Promise<ExitCode> {
    const files = args.files ?? [];
    const given = args.scenario !== undefined || args.strategy !== undefined;
    if (files.length > 0 && given)
      throw new UsageError('export takes traces, or --scenario and --strategy, not both');
    if (files.length === 0 && (args.scenario === undefined || args.strategy === undefined))
      throw new UsageError('export needs a trace, or --scenario and --strategy');
    const { createExporter } = await import('../traces/exporter.ts');
    const exporter = createExporter(args);
    const { scenario = '', strategy = '' } = args;
    const { runEvents } = await import('../traces/run-events.ts');
    const { traceEvents, describeReading } = await import('../traces/trace-events.ts');
    const out = args.out === undefined ? undefined : await openOutput('--out', args.out, io.cwd);
    if (files.length === 0) {
      const plan = await planOf({ ...args, scenario: [scenario], strategy: [strategy] }, false, io);
      return deliver(exporter.pieces(runEvents(plan, io), `${scenario} under ${strategy}`), out, io);
    }
    const reading = traceEvents(files, io);
    const code = await deliver(exporter.pieces(reading.events, files.join(', ')), out, io);
    io.err(describeReading(reading, io.name));
    return reading.malformed() > 0 ? 1 : code;
  },
});

/** Puts the text where it was asked for: into a file at once, or on standard output as it comes. */
async function deliver(
  pieces: AsyncIterable<string>,
  out: { readonly write: (text: AsyncIterable<string>) => Promise<void> } | undefined,
  io: Io,
): Promise<ExitCode> {
  if (out !== undefined) await out.write(untilInterrupted(pieces, io));
  else for await (const piece of pieces) io.out(piece);
  return io.signal.aborted ? 130 : 0;
}

/** A file is whole or not there: what was interrupted is not written. */
async function* untilInterrupted(pieces: AsyncIterable<string>, io: Io): AsyncGenerator<string> {
  yield* pieces;
  if (io.signal.aborted) throw new UsageError('interrupted: nothing was written');
}
