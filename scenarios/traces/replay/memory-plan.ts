/**
 * The memory a replay needs: what stands behind the recorded slots, as ranges of the recorded VMM's addresses, and a place
 * for the guest that makes the accesses. Without a slot log the slots are made up from what the trace shows.
 */
import { KVM_MEM_READONLY, PAGE_SIZE } from '../../../engine/abi.ts';
import type { SlotCall } from '../read/trace-event.ts';
import { overlap, type Range } from './slot-batches.ts';
import type { PageSeen } from './survey.ts';

/** A piece of the recorded VMM's memory, named by the address it had there. */
export interface Area {
  readonly ua: number;
  readonly bytes: number;
  /** Some slot shows it read-only: the strategy lays it out. */
  readonly rom: boolean;
  /** Some slot shows it writable. */
  readonly ram: boolean;
}

/** What a replay is built on. */
export interface ReplayPlan {
  readonly areas: readonly Area[];
  /** Where the guest that makes the accesses has its code, its table and its stack. */
  readonly own: Range;
  /** Its slot. */
  readonly ownSlot: number;
}

/** Bytes the replay's own guest needs. */
export const OWN_BYTES = 4 * PAGE_SIZE;
/** The highest slot number that no recorded slot has; KVM_USER_MEM_SLOTS is 32,764 since 5.12. */
const OWN_SLOT = 32_763;
/** Where a place for it is looked for: downwards from here, in steps. */
const OWN_FROM = 0xf000_0000;
const OWN_STEP = 0x1_0000;

/** Plans the memory of a replay; `touched` are the pages that the trace's accesses are at. */
export function planMemory(calls: readonly SlotCall[], touched: Iterable<number>): ReplayPlan {
  const taken: Range[] = calls.filter((c) => c.size > 0);
  const pages = new Set(touched);
  for (let gpa = OWN_FROM; gpa > 0; gpa -= OWN_STEP) {
    const own = { gpa, size: OWN_BYTES };
    const free = [0, 1, 2, 3].every((i) => !pages.has(gpa / PAGE_SIZE + i));
    if (free && !taken.some((range) => overlap(range, own)))
      return { areas: areasOf(calls), own, ownSlot: freeSlot(calls) };
  }
  throw new Error('the recorded slots leave no place below 4 GiB for the guest that replays the accesses');
}

function freeSlot(calls: readonly SlotCall[]): number {
  const used = new Set(calls.map((c) => c.slot));
  let slot = OWN_SLOT;
  while (used.has(slot)) slot -= 1;
  return slot;
}

/** Ranges of host addresses that slots named, those that touch joined. */
function areasOf(calls: readonly SlotCall[]): readonly Area[] {
  const spans = calls
    .filter((c) => c.size > 0 && c.size % PAGE_SIZE === 0 && c.ua % PAGE_SIZE === 0)
    .map((c) => ({ ua: c.ua, bytes: c.size, rom: isReadonly(c), ram: !isReadonly(c) }))
    .sort((a, b) => a.ua - b.ua);
  const areas: Area[] = [];
  for (const span of spans) {
    const last = areas.at(-1);
    if (last === undefined || span.ua > last.ua + last.bytes) areas.push(span);
    else {
      const end = Math.max(last.ua + last.bytes, span.ua + span.bytes);
      areas[areas.length - 1] = {
        ua: last.ua,
        bytes: end - last.ua,
        rom: last.rom || span.rom,
        ram: last.ram || span.ram,
      };
    }
  }
  return areas;
}

/** The slot shows its memory read-only. */
export const isReadonly = (call: SlotCall): boolean => (call.flags & KVM_MEM_READONLY) !== 0;

/**
 * Slots for a trace that came without a log: one for each run of pages that were memory, a run ending where a device was
 * or where the kind changes. A page whose stores were refused is read-only.
 */
export function slotsFromPages(pages: ReadonlyMap<number, PageSeen>): readonly SlotCall[] {
  const calls: SlotCall[] = [];
  let slot = 0;
  for (const gfn of [...pages.keys()].sort((a, b) => a - b)) {
    const seen = pages.get(gfn);
    const last = calls.at(-1);
    if (seen === undefined || (seen.mapped === undefined && !seen.refused)) continue;
    const flags = seen.refused ? KVM_MEM_READONLY : 0;
    const gpa = gfn * PAGE_SIZE;
    if (last !== undefined && last.flags === flags && last.gpa + last.size === gpa) {
      calls[calls.length - 1] = { ...last, size: last.size + PAGE_SIZE };
    } else
      calls.push({ addressSpace: 0, slot: slot++, flags, gpa, size: PAGE_SIZE, ua: 2 ** 40 + gpa, ret: 0 });
  }
  return calls;
}
