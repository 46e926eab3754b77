/**
 * The first reading of a trace: which pages the guest touched and what stood behind them, and where stage-2 entries must
 * have gone. Grows with the pages that were touched between two changes of the slots, not with the lines.
 */
import type { FlashAccess, SlotCall } from '../read/trace-event.ts';
import type { ExitSink, VmExit } from '../read/vm-exit.ts';
import { type Access, accessOf, type NotReplayed } from './access.ts';

/** What the trace shows of a page between two times at which all entries went. */
export interface PageSeen {
  /** Line at which memory was first mapped there, or undefined. */
  mapped: number | undefined;
  /** Line at which a read or a store first found no memory; a refused store alone is no such line. */
  device: number | undefined;
  /** A store was refused although reads are memory: the slot is read-only. */
  refused: boolean;
}

/** A stretch of the trace in which no stage-2 entries went but by one page. */
export interface Segment {
  /** The line after which it begins: userspace had the vCPU there, and changed the slots. 0 for the first. */
  readonly after: number;
  /** The line that shows that entries had gone: a page that had been mapped faulted again. */
  readonly shownAt: number;
  readonly pages: Map<number, PageSeen>;
}

/**
 * A device's page has an entry for MMIO after its first fault, and the next one says so; a store that a read-only slot
 * refuses never makes one (KVM_PFN_ERR_RO_FAULT is not cached).
 */
const isRefused = (access: Access, seen: PageSeen): boolean =>
  access.fault && !access.mmioEntry && (seen.refused || seen.device !== undefined);

/** Collects what a replay has to know before it starts. */
export class Survey implements ExitSink {
  readonly segments: Segment[] = [{ after: 0, shownAt: 0, pages: new Map() }];
  /** Slot calls that stand in the trace itself, with their lines. */
  readonly calls: { readonly call: SlotCall; readonly line: number }[] = [];
  readonly flash: FlashAccess[] = [];
  readonly notReplayed: Record<NotReplayed, number> = {
    'no memory access': 0,
    'shadow paging': 0,
    'above 4 GiB': 0,
  };
  accesses = 0;
  /** Line of the last exit to userspace. */
  #lastUserspace = 0;

  onExit(exit: VmExit): void {
    const access = accessOf(exit);
    if (typeof access === 'string') this.notReplayed[access] += 1;
    else {
      this.accesses += 1;
      this.#see(access);
    }
    if (exit.userspace !== undefined) this.#lastUserspace = exit.line;
  }

  onSlotCall(call: SlotCall, line: number): void {
    this.calls.push({ call, line });
  }

  onFlash(access: FlashAccess): void {
    this.flash.push(access);
  }

  /** The tracer was asked for kvm_mmu_zap_all_fast: no guessing. */
  onZap(line: number): void {
    const segment = this.segments.at(-1);
    if (segment !== undefined && segment.after === this.#lastUserspace && segment.pages.size === 0) return;
    this.segments.push({ after: Math.min(this.#lastUserspace, line), shownAt: line, pages: new Map() });
  }

  #see(access: Access): void {
    const gfn = Math.floor(access.gpa / 4096);
    const segment = this.segments.at(-1);
    if (segment === undefined) return;
    const seen = segment.pages.get(gfn) ?? { mapped: undefined, device: undefined, refused: false };
    // A page that was mapped faults without an entry: all had gone. The guest's next instruction would have shown it, so
    // they went at the last time userspace had the vCPU.
    if (access.outcome === 'mapped' && access.fault && !access.present && seen.mapped !== undefined) {
      const after = this.#lastUserspace > seen.mapped ? this.#lastUserspace : access.line - 1;
      this.segments.push({ after, shownAt: access.line, pages: new Map() });
      this.#see(access);
      return;
    }
    segment.pages.set(gfn, seen);
    if (access.outcome === 'mapped') seen.mapped ??= access.line;
    else if (access.outcome === 'mmio-write' && (seen.mapped !== undefined || isRefused(access, seen))) {
      seen.refused = true;
      seen.device = undefined;
    } else if (access.outcome === 'mmio-write' || access.outcome === 'mmio-read') seen.device ??= access.line;
  }

  /** Every page that was touched, and what it was over the whole trace. */
  pages(): ReadonlyMap<number, PageSeen> {
    const all = new Map<number, PageSeen>();
    for (const { pages } of this.segments)
      for (const [gfn, { mapped, device, refused }] of pages) {
        const known = all.get(gfn) ?? { mapped: undefined, device: undefined, refused: false };
        known.mapped ??= mapped;
        known.device ??= device;
        known.refused ||= refused;
        all.set(gfn, known);
      }
    return all;
  }
}
