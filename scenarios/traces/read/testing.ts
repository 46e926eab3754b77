/** For tests: lines of a trace into events. */
import type { TraceEvent } from './trace-event.ts';
import { TraceReader, type TraceSummary } from './trace-reader.ts';

/** Reads lines: the events without their places, and the summary. */
export function read(lines: readonly string[]): {
  readonly events: readonly TraceEvent[];
  readonly summary: TraceSummary;
} {
  const events: TraceEvent[] = [];
  const reader = new TraceReader((e) => events.push(e));
  for (const line of lines) reader.line(line);
  return { events, summary: reader.summary() };
}

/** One line that has to be understood. */
export function one(line: string): TraceEvent {
  const { events, summary } = read([line]);
  const [event] = events;
  if (event === undefined) throw new Error(`not understood: ${JSON.stringify(summary)}`);
  return event;
}
