/** Events into one of the formats, as they come: what is in memory is what a format has to remember. */
import { FTRACE_HEAD, ftraceLine } from '../../reports/traces/ftrace-text.ts';
import { type PerfEvent, type PerfKey, PerfKvmStat } from '../../reports/traces/perf-kvm.ts';
import { PerfettoWriter } from '../../reports/traces/perfetto.ts';
import type { TraceEvent } from '../../scenarios/traces/read/trace-event.ts';
import { ExitBuilder } from '../../scenarios/traces/read/vm-exit.ts';
import { UsageError } from '../io.ts';

/** What is asked for. */
export interface ExportRequest {
  readonly format: string;
  readonly event: PerfEvent;
  readonly key: PerfKey;
}

type Batches = AsyncIterable<readonly TraceEvent[]>;

/** Turns batches of events into pieces of text. */
export interface Exporter {
  pieces(batches: Batches, name: string): AsyncIterable<string>;
}

/** The exporter of a format. */
export function createExporter(request: ExportRequest): Exporter {
  switch (request.format) {
    case 'ftrace':
      return { pieces: ftrace };
    case 'perfetto':
      return { pieces: perfetto };
    default:
      return { pieces: (batches) => perf(batches, request) };
  }
}

async function* ftrace(batches: Batches): AsyncGenerator<string> {
  yield FTRACE_HEAD;
  for await (const batch of batches) yield batch.map((e) => `${ftraceLine(e)}\n`).join('');
}

async function* perfetto(batches: Batches, name: string): AsyncGenerator<string> {
  let text = '';
  const writer = new PerfettoWriter((piece) => {
    text += piece;
  });
  const builder = new ExitBuilder(writer);
  writer.begin(name);
  for await (const batch of batches) {
    for (const event of batch) builder.event(event);
    yield text;
    text = '';
  }
  builder.end();
  writer.end();
  yield text;
}

async function* perf(batches: Batches, { format, event, key }: ExportRequest): AsyncGenerator<string> {
  const stat = new PerfKvmStat(event);
  for await (const batch of batches) for (const e of batch) stat.event(e);
  if (stat.entries === 0)
    throw new UsageError(
      '--format perf-kvm: the trace has no kvm_entry, so no exit in it has a length; record kvm:kvm_entry too',
    );
  yield stat.text(format === 'perf-kvm' ? 'classic' : 'hist', key);
}
