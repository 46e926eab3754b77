/**
 * The state of one virtual machine: one heap of int32, and the bytes of its page frames.
 *
 * Everything the fault path touches lies in `h` at fixed offsets or in tables taken from its end, as in a C
 * struct: V8 then needs one bounds check and one base for all of it, and machines of different strategies
 * share one piece of machine code (docs/decisions/0005). The rooms beside this one own the tables' meaning:
 * host/ the backings and ptes, kvm/ slots, stage-2 entries, counters and the event ring.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../abi.ts';
import { assert } from '../assert.ts';
import { FACT_WORDS } from '../facts.ts';
import { STEPS } from '../steps.ts';

/** Software TLB: direct mapped on the linear page number; entries of four ints. */
export const TLB_ENTRIES = 1024;
/** Offset in `h` of the TLB: [page that may be read, page that may be written, byte offset of its frame, gfn]. */
export const TLB = 0;
/** How often each fault word met the fault path; steps and decisions follow from the words. */
export const WORDS = TLB + TLB_ENTRIES * 4;
/** Steps that do not follow from a fault word, by STEP_INDEX. */
export const STEP_COUNTS = WORDS + FACT_WORDS;
/** Events of the last while, four ints each: kind, and three operands. */
const RING_ENTRIES = 1024;
export const RING = STEP_COUNTS + 64;
/** Ints of the ring less one: an offset in it wraps with this. */
export const RING_MASK = RING_ENTRIES * 4 - 1;
/** First level of the tables over gfn: 1,024 entries of 1 GiB each. */
export const TOP = RING + RING_ENTRIES * 4;
const FIXED_END = TOP + 1024;

/** A table over page numbers is a directory of leaves of 512 ints, made when first written. */
const LEAF = 512;

/** Kinds of events in the ring; the digest is over these. */
export const EV_FAULT = 1;
export const EV_EXIT = 2;
export const EV_EMULATE = 3;
export const EV_SLOT = 4;
export const EV_HOST = 5;
export const EV_MMIO_DATA = 6;
/** A store of batch/batch.ts that was refused: word, gfn and verdict as in EV_FAULT; its value and offset above. */
export const EV_REFUSED = 7;
export const EV_VALUE_SHIFT = 4;
export const EV_OFFSET_SHIFT = 10;

// Exported names are loaded and checked at every use; the hot methods below use copies, which are folded.
const RING_AT = RING;
const RING_END = RING + RING_ENTRIES * 4;
const RING_WRAP = RING_MASK;
const STEPS_AT = STEP_COUNTS;
/** What the two halves of the digest start from. */
const HASH_A = 0x811c9dc5 | 0;
const HASH_B = 0x01000193;

/** The machine's memory. Public fields: the rooms of the core are its methods. */
export class Vm {
  h = new Int32Array(FIXED_END + 8 * LEAF);
  /** Page frames; frame 0 stays zero and stands for the kernel's zero page. */
  mem = new Uint8Array(64 * PAGE_SIZE);
  mem32 = new Int32Array(this.mem.buffer);
  /** Per frame: 0 if no code was decoded from it, else a number that changes when its bytes may have. */
  codeVersions = new Int32Array(64);
  /** First free int of `h`. */
  brk = FIXED_END;
  /** Frames handed out, the zero page included. */
  frames = 1;
  /** Where in the ring the next event goes, in ints, and up to where the digest has taken events in. */
  ringAt = 0;
  #foldedTo = 0;
  #hashA = HASH_A;
  #hashB = HASH_B;
  /**
   * A full ring goes into the digest before it is written over, so that the digest is of every event. A loop that is
   * compared with the C port (batch/c/) leaves that out as the port does: its digest is of what the ring holds last.
   */
  digestsEveryEvent = true;
  /** Verdicts by fault word, of the machine's series (kvm/verdicts.ts). */
  verdicts: Int32Array;

  constructor(verdicts: Int32Array) {
    assert(STEPS.length <= 64, 'more steps than counters');
    this.verdicts = verdicts;
    this.flushTlb();
  }

  /** Takes `n` zeroed ints from the end of the heap; returns their offset. */
  alloc(n: number): number {
    const at = this.brk;
    this.brk += n;
    if (this.brk > this.h.length) {
      const bigger = new Int32Array(Math.max(this.brk, this.h.length * 2));
      bigger.set(this.h);
      this.h = bigger;
    }
    return at;
  }

  /** Takes a zeroed page frame. */
  allocFrame(): number {
    const frame = this.frames++;
    if ((frame + 1) << PAGE_SHIFT > this.mem.length) {
      const bigger = new Uint8Array(this.mem.length * 2);
      bigger.set(this.mem);
      this.mem = bigger;
      this.mem32 = new Int32Array(bigger.buffer);
      const versions = new Int32Array(bigger.length >>> PAGE_SHIFT);
      versions.set(this.codeVersions);
      this.codeVersions = versions;
    }
    return frame;
  }

  /** Makes a directory for a table of `n` ints by page number. */
  allocTable(n: number): number {
    return this.alloc(Math.ceil(n / LEAF));
  }

  /** Reads a table entry; 0 where nothing was ever written. */
  tableGet(dir: number, i: number): number {
    const leaf = this.h[dir + (i >>> 9)]!;
    return leaf === 0 ? 0 : this.h[leaf + (i & 511)]!;
  }

  /** Writes a table entry. */
  tableSet(dir: number, i: number, value: number): void {
    let leaf = this.h[dir + (i >>> 9)]!;
    if (leaf === 0) {
      if (value === 0) return;
      leaf = this.alloc(LEAF);
      this.h[dir + (i >>> 9)] = leaf;
    }
    this.h[leaf + (i & 511)] = value;
  }

  /** Forgets all cached translations (KVM_REQ_TLB_FLUSH, CR3 writes). */
  flushTlb(): void {
    this.h.fill(-1, TLB, TLB + TLB_ENTRIES * 4);
  }

  /** Says that bytes of a frame changed: decoded instructions of it are stale. */
  touchCode(frame: number): void {
    if (this.codeVersions[frame] !== 0) this.codeVersions[frame]!++;
  }

  /** Counts a step that does not follow from a fault word. */
  count(step: number): void {
    this.h[STEPS_AT + step]!++;
  }

  /** Records an event: what the digest is taken of. */
  record(kind: number, a: number, b: number, c: number): void {
    const h = this.h;
    const at = RING_AT + this.ringAt;
    h[at] = kind;
    h[at + 1] = a;
    h[at + 2] = b;
    h[at + 3] = c;
    this.ringAt = (this.ringAt + 4) & RING_WRAP;
    if (this.ringAt === 0) this.ringFull();
  }

  /** The ring is full and will be written over from its start. */
  ringFull(): void {
    if (this.digestsEveryEvent) this.#fold(RING_END);
  }

  /** Takes the events since the last time, up to `end`, into the digest. */
  #fold(end: number): void {
    const h = this.h;
    let a = this.#hashA;
    let b = this.#hashB;
    for (let at = RING_AT + this.#foldedTo; at < end; at = (at + 4) | 0) {
      // Kinds are small and operands mostly are: turned by half a word they do not meet.
      const p = h[(at + 1) | 0]!;
      const r = h[(at + 3) | 0]!;
      const x = h[at]! ^ ((p << 12) | (p >>> 20));
      const y = h[(at + 2) | 0]! ^ ((r << 16) | (r >>> 16));
      a = Math.imul(a ^ x, 0x01000193);
      b = Math.imul(b ^ y ^ (a >>> 15), 0x01000193);
    }
    this.#foldedTo = this.ringAt;
    this.#hashA = a;
    this.#hashB = b;
  }

  /** The event digest so far, as two int32. */
  eventHash(): readonly [number, number] {
    if (this.digestsEveryEvent) {
      if (this.ringAt !== this.#foldedTo) this.#fold(RING_AT + this.ringAt);
    } else {
      this.#foldedTo = 0;
      this.#hashA = HASH_A;
      this.#hashB = HASH_B;
      this.#fold(RING_END);
    }
    return [this.#hashA, this.#hashB];
  }
}
