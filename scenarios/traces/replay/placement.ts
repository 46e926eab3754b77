/**
 * Where in a trace the calls of a slot log belong, which has no times. What decides is what the trace shows: all stage-2
 * entries go when a slot is deleted, so pages that were mapped fault again; memory is mapped only where a slot is, and a
 * device answers only where none is. How a batch was placed is kept, for it is an inference.
 */
import type { SlotBatch } from './slot-batches.ts';
import { SlotMap } from './slot-map.ts';
import type { Segment } from './survey.ts';

/** What a batch's place rests on. */
export type PlacedBy =
  /** The log's first batches: the guest had not run, or nothing it did shows them. */
  | 'before the guest'
  /** Pages faulted again. */
  | 'entries that went'
  /** A page was mapped that no slot had covered before. */
  | 'first use'
  /** Only the order of the log: nothing in the trace shows it. */
  | 'order alone'
  /** The call stands in the trace. */
  | 'the trace itself';

/** A batch with its place. */
export interface PlacedBatch {
  readonly batch: SlotBatch;
  /** Its calls come after the exit that begins at this line. */
  readonly after: number;
  readonly by: PlacedBy;
  /** The line that shows it. */
  readonly shownAt: number | undefined;
}

/** All batches placed. */
export interface Placement {
  readonly placed: readonly PlacedBatch[];
  /** Pages that the trace shows as memory where no slot is, or as a device where one is. */
  readonly contradictions: number;
  /** Times all entries went that no deletion in the log explains. */
  readonly unexplained: readonly Segment[];
}

/** Places the batches so that as little as possible of what the trace shows contradicts the slots. */
export function placeBatches(batches: readonly SlotBatch[], segments: readonly Segment[]): Placement {
  const zapping = batches.flatMap((b, i) => (b.zaps ? [i] : []));
  let best: Placement | undefined;
  // The segments that follow the first are the work of so many deletions in a row; where the row begins is tried out.
  for (let skipped = zapping.length; skipped >= 0; skipped--) {
    const tried = place(batches, segments, zapping.slice(skipped));
    if (best === undefined || isBetter(tried, best)) best = tried;
  }
  return best ?? { placed: [], contradictions: 0, unexplained: segments.slice(1) };
}

const isBetter = (a: Placement, b: Placement): boolean =>
  a.contradictions + a.unexplained.length < b.contradictions + b.unexplained.length;

/** Places `zapping` (indices of batches) at the segments in order; the batches before them came before the guest. */
function place(
  batches: readonly SlotBatch[],
  segments: readonly Segment[],
  zapping: readonly number[],
): Placement {
  const slots = new SlotMap();
  const placed: PlacedBatch[] = [];
  let contradictions = 0;
  let next = 0;
  const put = (after: number, by: PlacedBy, shownAt?: number): void => {
    const batch = batches[next];
    if (batch === undefined) return;
    next += 1;
    placed.push({ batch, after, by, shownAt });
    for (const call of batch.calls) slots.apply(call);
  };
  segments.forEach((segment, i) => {
    const zap = i === 0 ? undefined : zapping[i - 1];
    // The segment's own batch, and those before it that nothing has shown; before the first, all up to the first deletion.
    const upTo = i === 0 ? firstBatches(batches, zapping) : (zap ?? next - 1) + 1;
    while (next < upTo) {
      const shown = next === zap;
      put(
        segment.after,
        i === 0 ? 'before the guest' : shown ? 'entries that went' : 'order alone',
        shown ? segment.shownAt : undefined,
      );
    }
    contradictions += settle(segment, slots, batches, () => next, zapping[i] ?? batches.length, put);
  });
  const end = segments.at(-1)?.shownAt ?? 0;
  while (next < batches.length) put(Math.max(end, Number.MAX_SAFE_INTEGER), 'order alone');
  return { placed, contradictions, unexplained: segments.slice(1 + zapping.length) };
}

/** How many batches come before the guest: all before the first deletion that the trace shows, less what is used later. */
function firstBatches(batches: readonly SlotBatch[], zapping: readonly number[]): number {
  const first = zapping[0] ?? batches.length;
  // Slots that only come between two deletions may have come while the guest ran: first use tells.
  let n = first;
  while (n > 0 && batches[n - 1]?.zaps === false && batches.slice(0, n - 1).some((b) => b.zaps)) n -= 1;
  return n;
}

/** Holds a segment's pages against the slots, adding batches that its pages need; returns how many contradict. */
function settle(
  segment: Segment,
  slots: SlotMap,
  batches: readonly SlotBatch[],
  at: () => number,
  stop: number,
  put: (after: number, by: PlacedBy, shownAt?: number) => void,
): number {
  let contradictions = 0;
  for (const [gfn, { mapped, device }] of segment.pages) {
    const gpa = gfn * 4096;
    const before = slots.covers(gpa);
    if (mapped !== undefined && before === undefined) {
      while (slots.covers(gpa) === undefined && at() < stop && willCover(batches, at(), stop, gpa))
        put(mapped - 1, 'first use', mapped);
      // What only system management mode sees is its own.
      if (slots.covers(gpa) === undefined && slots.covers(gpa, 1) === undefined) contradictions += 1;
    }
    if (device !== undefined && before === 'writable') contradictions += 1;
  }
  return contradictions;
}

/** One of the batches from `from` to `stop` gives the page a slot, and none of them deletes one. */
function willCover(batches: readonly SlotBatch[], from: number, stop: number, gpa: number): boolean {
  for (let i = from; i < stop; i++) {
    const batch = batches[i];
    if (batch === undefined || batch.zaps) return false;
    if (batch.calls.some((c) => c.addressSpace === 0 && gpa >= c.gpa && gpa < c.gpa + c.size)) return true;
  }
  return false;
}
