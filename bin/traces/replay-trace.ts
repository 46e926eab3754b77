/**
 * Replays traces: read once to see which pages they touch and where slots changed, and once more to run every strategy
 * beside the reading. Neither reading keeps what it has read.
 */
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import type { CostProfile } from '../../engine/cost.ts';
import type { SlotCall, TraceEvent } from '../../scenarios/traces/read/trace-event.ts';
import { ExitBuilder } from '../../scenarios/traces/read/vm-exit.ts';
import { accessOf } from '../../scenarios/traces/replay/access.ts';
import { HeldAgainst } from '../../scenarios/traces/replay/held-against.ts';
import { planMemory, slotsFromPages } from '../../scenarios/traces/replay/memory-plan.ts';
import { type PlacedBatch, type Placement, placeBatches } from '../../scenarios/traces/replay/placement.ts';
import { Replay } from '../../scenarios/traces/replay/replay.ts';
import {
  batchReports,
  churnPrices,
  type ReplayReport,
  strategyReplay,
} from '../../scenarios/traces/replay/replay-report.ts';
import { batchesOf } from '../../scenarios/traces/replay/slot-batches.ts';
import { Survey } from '../../scenarios/traces/replay/survey.ts';
import type { Strategy } from '../../strategies/index.ts';
import { mustBeFile } from '../input/trace-file.ts';
import { type Io, UsageError } from '../io.ts';
import { type Reading, traceEvents } from './trace-events.ts';

/** What is to be replayed, and how. */
export interface ReplayRequest {
  readonly files: readonly string[];
  readonly memslots: string | undefined;
  /** Only what these threads did; all when absent. */
  readonly threads: readonly number[] | undefined;
  readonly coldRoms: boolean;
  readonly strategies: readonly Strategy[];
  readonly profile: CostProfile;
}

/** The traces as first read. */
interface Surveyed {
  readonly reading: Reading;
  readonly survey: Survey;
  readonly vcpus: number;
}

/** Reads the traces for the first time. */
export async function surveyTraces(request: ReplayRequest, io: Io): Promise<Surveyed> {
  for (const path of request.files) await mustBeFile(path, io.cwd);
  const survey = new Survey();
  const builder = new ExitBuilder(survey);
  const reading = traceEvents(request.files, io);
  for await (const batch of reading.events) feed(builder, batch, request.threads);
  builder.end();
  const [mixed] = builder.mixedVms;
  if (mixed !== undefined) {
    const [vcpu, threads] = mixed;
    const named = [...threads].join(' and ');
    throw new UsageError(
      `${request.files.join(', ')}: vCPU ${vcpu} ran in threads ${named}: more than one VM; choose its threads with --thread`,
    );
  }
  return { reading, survey, vcpus: builder.vcpus };
}

function feed(
  builder: ExitBuilder,
  batch: readonly TraceEvent[],
  threads: readonly number[] | undefined,
): void {
  for (const event of batch) {
    const wanted =
      threads === undefined || event.event === 'kvm_set_user_memory' || threads.includes(event.thread);
    if (wanted) builder.event(event);
  }
}

/** Where the slots come from, and where in the trace their calls belong. */
interface Slots {
  readonly from: ReplayReport['slots']['from'];
  readonly calls: readonly SlotCall[];
  readonly placement: Placement;
}

async function slotsOf(request: ReplayRequest, survey: Survey, io: Io): Promise<Slots> {
  const { memslots } = request;
  if (memslots !== undefined && survey.calls.length > 0)
    throw new UsageError(
      `--memslots ${memslots}: the trace has slot calls of its own; leave one of the two out`,
    );
  if (memslots !== undefined) {
    const calls = await readCalls(memslots, io);
    return { from: 'log', calls, placement: placeBatches(batchesOf(calls), survey.segments) };
  }
  if (survey.calls.length > 0) {
    const placed = survey.calls.map(
      ({ call, line }): PlacedBatch => ({
        batch: { calls: [call], zaps: call.size === 0 },
        after: line,
        by: 'the trace itself',
        shownAt: line,
      }),
    );
    return {
      from: 'trace',
      calls: survey.calls.map((c) => c.call),
      placement: { placed, contradictions: 0, unexplained: [] },
    };
  }
  const calls = slotsFromPages(survey.pages());
  const batch = { calls, zaps: false };
  const placed: PlacedBatch[] = [{ batch, after: 0, by: 'before the guest', shownAt: undefined }];
  return {
    from: 'made up',
    calls,
    placement: { placed, contradictions: 0, unexplained: survey.segments.slice(1) },
  };
}

async function readCalls(path: string, io: Io): Promise<readonly SlotCall[]> {
  const calls: SlotCall[] = [];
  const reading = traceEvents([path], io);
  for await (const batch of reading.events)
    for (const e of batch) if (e.event === 'kvm_set_user_memory') calls.push(e.call);
  const [bad] = reading.summaries[0]?.summary.malformedLines ?? [];
  // A call that is not understood is a slot that is not there: everything after it would be about another guest.
  if (bad !== undefined) throw new UsageError(`${path}:${bad.line}: not a slot call: ${bad.text}`);
  if (calls.length === 0) throw new UsageError(`${path}: no kvm_set_user_memory in it`);
  return calls;
}

/** Runs the traces again under every strategy. */
export async function replayTraces(
  request: ReplayRequest,
  { reading, survey, vcpus }: Surveyed,
  io: Io,
): Promise<ReplayReport> {
  const { files, strategies, profile, coldRoms } = request;
  if (survey.accesses === 0) throw new UsageError(`${files.join(', ')}: ${nothingToReplay(survey)}`);
  const { from, calls, placement } = await slotsOf(request, survey, io);
  const plan = planMemory(calls, survey.pages().keys());
  const runs = strategies.map((strategy) => {
    const held = new HeldAgainst();
    const replay = new Replay(
      createCoreMachine({ series: strategy.series, lives: 0 }),
      strategy.layout,
      plan,
      held,
    );
    if (coldRoms) replay.evictRoms();
    return { strategy: strategy.name, replay, held };
  });
  let next = 0;
  let inKernel = 0;
  let morePieces = 0;
  const slotCallsBefore = (line: number): void => {
    for (let at = placement.placed[next]; at !== undefined && at.after < line; at = placement.placed[++next])
      for (const { replay } of runs) replay.slotCalls(at.batch.calls);
  };
  const builder = new ExitBuilder({
    onExit: (exit) => {
      slotCallsBefore(exit.line);
      const access = accessOf(exit);
      if (typeof access === 'string') return;
      if (access.inKernel) inKernel += 1;
      morePieces += access.morePieces;
      for (const { replay } of runs) replay.access(access);
    },
  });
  for await (const batch of traceEvents(files, io).events) feed(builder, batch, request.threads);
  builder.end();
  slotCallsBefore(Number.POSITIVE_INFINITY);
  for (const { replay } of runs) replay.flush();
  const batches = batchReports(placement, survey);
  const replayed = runs.map((r) => strategyReplay(r.strategy, r.replay, r.held, profile));
  return {
    files: reading.summaries,
    slots: {
      from,
      calls: calls.length,
      contradictions: placement.contradictions,
      unexplained: placement.unexplained.length,
      batches,
    },
    accesses: survey.accesses,
    notReplayed: survey.notReplayed,
    inKernel,
    morePieces,
    vcpus,
    coldRoms,
    profile: profile.name,
    unit: profile.unit,
    strategies: replayed,
    ...churnPrices(batches, replayed),
    interrupted: io.signal.aborted,
  };
}

function nothingToReplay({ notReplayed }: Survey): string {
  if (notReplayed['shadow paging'] > 0)
    return 'recorded under shadow paging: its faults name the guest’s own addresses, and there is nothing to replay';
  if (notReplayed['above 4 GiB'] > 0)
    return 'all its accesses are above 4 GiB, which the replaying guest cannot reach';
  return 'no page fault and no MMIO in it: record kvm:kvm_page_fault and kvm:kvm_mmio too';
}
