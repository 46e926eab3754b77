/** The events of traces in files, a batch at a time, with what was read and what was not understood. */
import type { TraceEvent } from '../../scenarios/traces/read/trace-event.ts';
import { TraceReader, type TraceSummary } from '../../scenarios/traces/read/trace-reader.ts';
import { readLines } from '../input/trace-file.ts';
import { type Io, UsageError } from '../io.ts';
import { createProgress } from '../output/progress.ts';

/** Traces being read. */
export interface Reading {
  /** Events in the files' order; read once. */
  readonly events: AsyncIterable<readonly TraceEvent[]>;
  /** What was read so far, a summary a file. */
  readonly summaries: { readonly path: string; readonly summary: TraceSummary }[];
  /** Lines so far that were not understood. */
  readonly malformed: () => number;
}

/** Reads traces one after the other; a file without a single event that we know is an error. */
export function traceEvents(paths: readonly string[], io: Io): Reading {
  const summaries: { path: string; summary: TraceSummary }[] = [];
  return {
    summaries,
    malformed: () => summaries.reduce((sum, s) => sum + s.summary.malformed, 0),
    events: read(paths, io, summaries),
  };
}

async function* read(
  paths: readonly string[],
  io: Io,
  summaries: { path: string; summary: TraceSummary }[],
): AsyncGenerator<readonly TraceEvent[]> {
  const progress = createProgress(io);
  let lines = 0;
  try {
    for (const path of paths) {
      let batch: TraceEvent[] = [];
      const reader = new TraceReader((event) => batch.push(event));
      const show = (part: number): void =>
        progress.show(`${path}: ${lines.toLocaleString('en-US')} lines, ${Math.round(100 * part)} %`);
      for await (const piece of readLines(path, io, show)) {
        for (const line of piece) reader.line(line);
        lines += piece.length;
        yield batch;
        batch = [];
      }
      const summary = reader.summary();
      summaries.push({ path, summary });
      if (!io.signal.aborted) checkTrace(path, summary);
    }
  } finally {
    progress.clear();
  }
}

/** A file with nothing in it that we know is not a trace of KVM, whatever else it is. */
function checkTrace(path: string, summary: TraceSummary): void {
  const known = Object.values(summary.events).reduce((sum, n) => sum + n, 0);
  if (known > 0) return;
  const [first] = summary.malformedLines;
  const others = Object.keys(summary.others);
  const has =
    summary.lines === 0
      ? 'it is empty'
      : others.length > 0
        ? `it has ${others.slice(0, 3).join(', ')}`
        : first === undefined
          ? 'it has remarks alone'
          : `line ${first.line}: ${first.text}`;
  throw new UsageError(`${path}: no event of KVM in it: ${has}`);
}

/** What was read, for standard error: totals, and each line that was not understood. */
export function describeReading(reading: Reading, name: string): string {
  return reading.summaries.map(({ path, summary }) => describeSummary(path, summary, name)).join('');
}

function describeSummary(path: string, s: TraceSummary, name: string): string {
  const count = (n: number): string => n.toLocaleString('en-US');
  const known = Object.values(s.events).reduce((sum, n) => sum + n, 0);
  const others = Object.values(s.others).reduce((sum, n) => sum + n, 0);
  const parts = [
    `${count(s.lines)} lines`,
    `${count(known)} events understood`,
    ...(others > 0 ? [`${count(others)} of other kinds left out`] : []),
    ...(s.gaps > 0 ? [`${count(s.lost)} events lost by the tracer in ${count(s.gaps)} places`] : []),
    `${count(s.malformed)} lines not understood`,
  ];
  const shown = s.malformedLines.map((m) => `  ${path}:${m.line}: ${m.event ?? 'no event'}: ${m.text}\n`);
  const more = s.malformed - s.malformedLines.length;
  return `${name}: ${path}: ${parts.join(', ')}\n${shown.join('')}${more > 0 ? `  … and ${count(more)} more\n` : ''}`;
}
