/**
 * Accesses that hit the software TLB: a compare, a load or store, the next one. Four at a time, because what a hit
 * costs in a loop is mostly the loop.
 */
import { TLB, TLB_ENTRIES, type Vm } from '../vm.ts';

// A module's own constants are folded into machine code; imported and exported names are loaded and checked each
// time. Hot loops therefore work with copies, here and wherever a constant has a second name.
const TLB_AT = TLB;
const TLB_MASK = TLB_ENTRIES - 1;
/** Elements of a batch lie this far apart in their pages: pages are met all over, no two neighbours alike. */
const STRIDE = 67;
const OFFSET_MASK = 4095;

const at = (i: number): number => Math.imul(i, STRIDE) & OFFSET_MASK;
const entry = (gfn: number): number => TLB_AT + (((gfn ^ (gfn >>> 10)) & TLB_MASK) << 2);

/** Where element i goes in its page. */
export const offsetOf = at;
/** Offset of a page's TLB entry (the hash of kvm/guest-bus.ts). */
export const tlbEntryOf = entry;

/** The loops over hits. */
export class Hits {
  /** What the last read() read, added up. */
  sum = 0;

  /** Loads elements from `from` on; returns the first that misses, or n. */
  read(vm: Vm, list: Int32Array, mask: number, from: number, n: number): number {
    const h = vm.h;
    const mem = vm.mem;
    let sum = 0;
    let i = from;
    for (const end = (n - 3) | 0; i < end; i = (i + 4) | 0) {
      const a = list[i & mask]!;
      const b = list[(i + 1) & mask]!;
      const c = list[(i + 2) & mask]!;
      const d = list[(i + 3) & mask]!;
      const ea = entry(a);
      const eb = entry(b);
      const ec = entry(c);
      const ed = entry(d);
      if (((h[ea]! ^ a) | (h[eb]! ^ b) | (h[ec]! ^ c) | (h[ed]! ^ d)) !== 0) break;
      sum = (sum + mem[h[ea + 2]! + at(i)]!) | 0;
      sum = (sum + mem[h[eb + 2]! + at(i + 1)]!) | 0;
      sum = (sum + mem[h[ec + 2]! + at(i + 2)]!) | 0;
      sum = (sum + mem[h[ed + 2]! + at(i + 3)]!) | 0;
    }
    for (; i < n; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = entry(gfn);
      if (h[e] !== gfn) break;
      sum = (sum + mem[h[e + 2]! + at(i)]!) | 0;
    }
    this.sum = sum;
    return i;
  }

  /** Stores elements from `from` on; returns the first that misses, or n. */
  write(vm: Vm, list: Int32Array, mask: number, from: number, n: number): number {
    const h = vm.h;
    const mem = vm.mem;
    let i = from;
    for (const end = (n - 3) | 0; i < end; i = (i + 4) | 0) {
      const a = list[i & mask]!;
      const b = list[(i + 1) & mask]!;
      const c = list[(i + 2) & mask]!;
      const d = list[(i + 3) & mask]!;
      const ea = entry(a);
      const eb = entry(b);
      const ec = entry(c);
      const ed = entry(d);
      if (((h[ea + 1]! ^ a) | (h[eb + 1]! ^ b) | (h[ec + 1]! ^ c) | (h[ed + 1]! ^ d)) !== 0) break;
      mem[h[ea + 2]! + at(i)] = i;
      mem[h[eb + 2]! + at(i + 1)] = i + 1;
      mem[h[ec + 2]! + at(i + 2)] = i + 2;
      mem[h[ed + 2]! + at(i + 3)] = i + 3;
    }
    for (; i < n; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = entry(gfn);
      if (h[e + 1] !== gfn) break;
      mem[h[e + 2]! + at(i)] = i;
    }
    return i;
  }
}
