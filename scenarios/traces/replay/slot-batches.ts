/**
 * Slot calls in the batches in which QEMU makes them: one change of the guest's memory map is one batch, first what goes,
 * then what comes, for the guest's ordinary view and then for that of system management mode.
 */
import type { SlotCall } from '../read/trace-event.ts';

/** Calls made in one go, while the vCPU was out. */
export interface SlotBatch {
  readonly calls: readonly SlotCall[];
  /** One of them deletes a slot, so that all stage-2 entries go. */
  readonly zaps: boolean;
}

/** A range of guest-physical addresses. */
export interface Range {
  readonly gpa: number;
  readonly size: number;
}

/** The batches of a log. */
export function batchesOf(calls: readonly SlotCall[]): readonly SlotBatch[] {
  const live = new Map<string, Range>();
  const batches: SlotCall[][] = [];
  let gone: Range[] = [];
  for (const call of calls) {
    const batch = batches.at(-1);
    if (batch === undefined || beginsBatch(batch, call, gone)) {
      batches.push([call]);
      gone = [];
    } else batch.push(call);
    const key = `${call.addressSpace}:${call.slot}`;
    const old = live.get(key);
    if (call.ret < 0) continue;
    if (call.size === 0 && old !== undefined) gone.push(old);
    if (call.size === 0) live.delete(key);
    else live.set(key, call);
  }
  return batches.map((b) => ({ calls: b, zaps: b.some((c) => c.size === 0) }));
}

/**
 * A call begins another batch when the ordinary view's turn comes again, when something goes after something came, or
 * when what comes is not where the batch has taken something away: nothing then says that it belongs to it.
 */
function beginsBatch(batch: readonly SlotCall[], call: SlotCall, gone: readonly Range[]): boolean {
  const last = batch.at(-1);
  if (last === undefined || call.addressSpace < last.addressSpace) return true;
  if (call.size === 0) return batch.some((c) => c.addressSpace === call.addressSpace && c.size > 0);
  // The other view follows the ordinary one, which began the batch.
  if (call.addressSpace > 0) return false;
  return !gone.some((range) => overlap(range, call));
}

/** Whether two ranges have an address in common. */
export const overlap = (a: Range, b: Range): boolean => a.gpa < b.gpa + b.size && b.gpa < a.gpa + a.size;
