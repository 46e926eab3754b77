/**
 * A replay held against its recording: each access's faults and what came of them, and each slot call's return value. What
 * differs is sorted by the reason for it, and the reason is worked out from the facts of that access.
 */
import { errnoName, PFERR_FETCH, PFERR_PRESENT, PFERR_RSVD, PFERR_WRITE } from '../../../engine/abi.ts';
import type { SlotCall } from '../read/trace-event.ts';
import type { Access, Outcome } from './access.ts';
import type { ReplaySink, Seen } from './replay.ts';
import { type Cover, SlotMap } from './slot-map.ts';

/** What stood behind an accessed page in the recording. */
export type Place = 'rom' | 'ram' | 'device';

/** Accesses at one kind of place, and how many came out as recorded. */
export interface Tally {
  accesses: number;
  same: number;
}

/** A kind of difference: how often, and where first. */
export interface Difference {
  readonly reason: string;
  count: number;
  readonly firstLines: number[];
}

/** Lines of the trace that are named for one reason. */
const LINES_NAMED = 3;

/** Reasons, in the order in which they are asked; the first that holds is the one. */
const REASONS = {
  died: 'the VM ended at this access; in the recording it went on',
  retried:
    'a refused store that KVM let the guest try once more before it emulated it (retry_instruction()); the replay stores with an instruction that KVM never retries',
  taken: 'memory took a store that the recorded kernel refused',
  mapped:
    'no fault: the page was still mapped. In the recording its entry had gone, and no slot call says why',
  unrecorded:
    'a fault the recording does not have: its entry was there already, as when it is a part of a huge page',
  mmioEntry:
    'an entry for MMIO was met in the one and not in the other: one of them takes the page for a device and the other for memory',
  access: 'the fault was of another kind of access',
  outcome: 'something else came of it',
} as const;

/** Collects agreement and differences of one replay. */
export class HeldAgainst implements ReplaySink {
  readonly places: Record<Place, Tally> = {
    rom: { accesses: 0, same: 0 },
    ram: { accesses: 0, same: 0 },
    device: { accesses: 0, same: 0 },
  };
  slotCalls = 0;
  slotCallsSame = 0;
  /** Calls this strategy does not make. */
  slotCallsLeftOut = 0;
  faults = 0;
  mmioExits = 0;
  /** Stores to what a slot shows read-only. */
  romStores = 0;
  /** Faults whose present bit differs: processors differ in what they report for an entry made for MMIO. */
  presentBit = 0;
  readonly #slots = new SlotMap();
  readonly #differences = new Map<string, Difference>();
  readonly #leftOut = new Map<string, Difference>();

  onSlotCall(call: SlotCall, ret: number | undefined): void {
    this.#slots.apply(call);
    this.slotCalls += 1;
    if (ret === undefined) this.slotCallsLeftOut += 1;
    else if (ret === call.ret) this.slotCallsSame += 1;
    else this.#note(this.#differences, `a slot call returned ${named(ret)} and not ${named(call.ret)}`, 0);
  }

  onAccess(access: Access, seen: Seen): void {
    const cover = this.#slots.covers(access.gpa);
    const tally = this.places[placeOf(cover)];
    tally.accesses += 1;
    this.faults += seen.codes.length;
    this.mmioExits += seen.mmio.length;
    if (cover === 'readonly' && access.kind === 'write') this.romStores += 1;
    const reason = this.#reason(access, seen, cover);
    if (reason !== undefined) {
      this.#note(this.#differences, reason, access.line);
      return;
    }
    tally.same += 1;
    const [code] = seen.codes;
    if (code !== undefined && access.fault && has(code, PFERR_PRESENT) !== access.present)
      this.presentBit += 1;
  }

  onLeftOut(access: Access, why: string): void {
    this.#note(this.#leftOut, why, access.line);
  }

  #reason(access: Access, seen: Seen, cover: Cover): string | undefined {
    if (seen.ended && access.outcome !== 'error' && access.outcome !== 'internal-error') return REASONS.died;
    const outcome = outcomeOf(seen);
    if (access.outcome === 'mapped' && outcome === 'mmio-write' && cover === 'readonly')
      return REASONS.retried;
    if (access.outcome === 'mmio-write' && outcome === 'mapped' && cover === 'readonly') return REASONS.taken;
    const [code] = seen.codes;
    if (code === undefined) return access.fault || access.mmioEntry ? REASONS.mapped : undefined;
    if (seen.codes.length > 1) return REASONS.unrecorded;
    if (has(code, PFERR_RSVD) !== access.mmioEntry) return REASONS.mmioEntry;
    if (
      has(code, PFERR_WRITE) !== (access.kind === 'write') ||
      has(code, PFERR_FETCH) !== (access.kind === 'fetch')
    )
      return REASONS.access;
    return outcome === access.outcome || seen.ended ? undefined : REASONS.outcome;
  }

  #note(into: Map<string, Difference>, reason: string, line: number): void {
    const known = into.get(reason) ?? { reason, count: 0, firstLines: [] };
    into.set(reason, known);
    known.count += 1;
    if (known.firstLines.length < LINES_NAMED && line > 0) known.firstLines.push(line);
  }

  /** What differs, the most frequent first. */
  get differences(): readonly Difference[] {
    return sorted(this.#differences);
  }

  /** Accesses that could not be made, by the reason. */
  get leftOut(): readonly Difference[] {
    return sorted(this.#leftOut);
  }
}

const sorted = (notes: ReadonlyMap<string, Difference>): readonly Difference[] =>
  [...notes.values()].sort((a, b) => b.count - a.count);

const has = (code: number, bit: number): boolean => ((code % 2 ** 32) & bit) !== 0;
const named = (ret: number): string => (ret < 0 ? `-${errnoName(-ret)}` : String(ret));

const placeOf = (cover: Cover): Place =>
  cover === undefined ? 'device' : cover === 'readonly' ? 'rom' : 'ram';

function outcomeOf(seen: Seen): Outcome {
  const [piece] = seen.mmio;
  if (piece === undefined) return seen.ended ? 'error' : 'mapped';
  return piece === 'write' ? 'mmio-write' : 'mmio-read';
}
