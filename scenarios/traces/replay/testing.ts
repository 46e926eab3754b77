/** For tests: lines of a trace through survey, placement and replay, as the command does it with files. */
import type { Machine } from '../../../engine/machine.ts';
import type { Patch } from '../../../engine/policy.ts';
import type { Strategy } from '../../../strategies/strategy.ts';
import type { SlotCall } from '../read/trace-event.ts';
import { TraceReader } from '../read/trace-reader.ts';
import { ExitBuilder, type ExitSink } from '../read/vm-exit.ts';
import { accessOf } from './access.ts';
import { HeldAgainst } from './held-against.ts';
import { planMemory } from './memory-plan.ts';
import { type Placement, placeBatches } from './placement.ts';
import { Replay } from './replay.ts';
import { batchesOf } from './slot-batches.ts';
import { Survey } from './survey.ts';

/** Reads a trace into exits. */
export function exitsOf(lines: readonly string[], sink: ExitSink): void {
  const builder = new ExitBuilder(sink);
  const reader = new TraceReader((event) => builder.event(event));
  for (const line of lines) reader.line(line);
  builder.end();
}

/** The slot calls of a log. */
function callsOf(lines: readonly string[]): readonly SlotCall[] {
  const calls: SlotCall[] = [];
  const reader = new TraceReader((e) => void (e.event === 'kvm_set_user_memory' && calls.push(e.call)));
  for (const line of lines) reader.line(line);
  return calls;
}

/** Surveys a trace and places a log in it. */
export function surveyed(
  lines: readonly string[],
  log: readonly string[],
): { readonly survey: Survey; readonly placement: Placement; readonly calls: readonly SlotCall[] } {
  const survey = new Survey();
  exitsOf(lines, survey);
  const calls = callsOf(log);
  return { survey, calls, placement: placeBatches(batchesOf(calls), survey.segments) };
}

/** Replays a trace with its log under a strategy. */
export function replayed(
  createMachine: (options: { readonly series: readonly Patch[]; readonly lives: number }) => Machine,
  lines: readonly string[],
  log: readonly string[],
  strategy: Strategy,
  coldRoms = false,
): { readonly replay: Replay; readonly held: HeldAgainst } {
  const { survey, placement, calls } = surveyed(lines, log);
  const held = new HeldAgainst();
  const plan = planMemory(calls, survey.pages().keys());
  const replay = new Replay(
    createMachine({ series: strategy.series, lives: 0 }),
    strategy.layout,
    plan,
    held,
  );
  if (coldRoms) replay.evictRoms();
  const waiting = [...placement.placed];
  const callsBefore = (line: number): void => {
    while (waiting[0] !== undefined && waiting[0].after < line)
      replay.slotCalls(waiting.shift()?.batch.calls ?? []);
  };
  exitsOf(lines, {
    onExit: (exit) => {
      callsBefore(exit.line);
      const access = accessOf(exit);
      if (typeof access !== 'string') replay.access(access);
    },
  });
  callsBefore(Number.POSITIVE_INFINITY);
  replay.flush();
  return { replay, held };
}
