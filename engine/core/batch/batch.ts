/**
 * Batches of guest accesses without the instructions around them: each element is what a guest's one-byte `mov`
 * to guest-physical memory would come to (paging off), from the software TLB to the exit it may end in.
 *
 * Faults, verdicts, entries, exits and counters are those of the vCPU's own path (kvm/vcpu.ts, kvm/emulate.ts),
 * whose parts are called here; only decoding and register write-back are left out. The VMM is taken to answer
 * every exit at once: it does nothing about a store, gives 0xff for a load, and steps over what got -EFAULT (a load then reads 0).
 */
import { GFN_LIMIT, PAGE_SHIFT, PAGE_SIZE } from '../../abi.ts';
import { assert } from '../../assert.ts';
import { KVM_EXIT_MMIO } from '../../exits.ts';
import { F_WRITE } from '../../facts.ts';
import { APIC_GFN } from '../kvm/emulate/emulate-ops.ts';
import { Fault, HOW_MMIO } from '../kvm/fault/fault.ts';
import { V_ACTION, V_EFAULT, V_EMULATE, V_EMULATE_MMIO, V_HVA_OK, V_MAP } from '../kvm/fault/fault-path.ts';
import type { Mmu } from '../kvm/paging/mmu.ts';
import { directPtePrefetch, intoStage2, type PrefetchInto } from '../kvm/paging/prefetch.ts';
import { SPTE_FRAME_SHIFT, SPTE_MMIO, SPTE_PRESENT, SPTE_WRITE, spteOf } from '../kvm/paging/stage2.ts';
import { guestFrame } from '../kvm/slots/guest-frame.ts';
import { EV_EXIT, EV_FAULT, EV_OFFSET_SHIFT, EV_REFUSED, EV_VALUE_SHIFT, type Vm } from '../vm.ts';
import { CR0_PG, type Regs } from '../x86/regs.ts';
import { Hits, offsetOf, tlbEntryOf } from './hits.ts';
import { Lane } from './lane.ts';
import { isRefusal } from './plain.ts';
import {
  WAY_DEVICE_LOAD,
  WAY_DEVICE_STORE,
  WAY_EFAULT,
  WAY_FIXED,
  WAY_LOAD_COPIED,
  WAY_LOAD_REFUSED,
  WAY_RETRIED,
  WAY_STORE_COPIED,
  WAY_STORE_FAULTED,
  WAY_STORE_REFUSED,
  WayCounts,
} from './ways.ts';

/** What a load from a device gives. */
const NO_DEVICE = 0xff;

/** The vCPU's parts that a batch needs. */
export interface BatchVcpu {
  readonly mmu: Mmu;
  readonly regs: Regs;
}

/** How a batch treats refused stores. */
export interface BatchOptions {
  /**
   * Remember refused stores to mapped pages in the TLB's write tag, so that the next one is not decided again. The
   * page's own entry stays as it is: loads never come out of it. Everything that could change the verdict flushes
   * the TLB.
   */
  readonly rememberRefusals?: boolean;
}

/** Runs batches of accesses on one machine. */
export class AccessBatch {
  readonly #vm: Vm;
  readonly #mmu: Mmu;
  readonly #regs: Regs;
  readonly #steps = new WayCounts();
  readonly #remember: boolean;
  readonly #hits = new Hits();
  readonly #lane: Lane;
  readonly #fault = new Fault();
  readonly #stage2: PrefetchInto;
  /** The lane may be taken: nested paging (no prefetch), no asynchronous faults. */
  #lanes = false;
  /** What #loadsFrom() read, added up. */
  #read = 0;
  /** Exits so far: stores and loads that userspace saw, and -EFAULT. */
  exits = 0;

  constructor(vcpu: BatchVcpu, options: BatchOptions = {}) {
    this.#vm = vcpu.mmu.vm;
    this.#mmu = vcpu.mmu;
    this.#regs = vcpu.regs;
    this.#remember = options.rememberRefusals ?? false;
    this.#stage2 = intoStage2(this.#mmu);
    this.#lane = new Lane(this.#mmu, this.#remember);
  }

  /** Loads a byte of page `list[i & mask]` for every i below n; returns the sum of what was read. */
  runReads(list: Int32Array, mask: number, n: number): number {
    const vm = this.#begin();
    let sum = 0;
    for (let i = 0; i < n; ) {
      i = this.#hits.read(vm, list, mask, i, n);
      sum = (sum + this.#hits.sum) | 0;
      if (i >= n) break;
      const from = i;
      if (this.#lanes) i = this.#loadsFrom(list, mask, i, n);
      sum = (sum + this.#read) | 0;
      if (i > from) continue;
      sum = (sum + this.#miss(list[i & mask]!, offsetOf(i), 0, 0)) | 0;
      i = (i + 1) | 0;
    }
    this.#settle();
    return sum;
  }

  /** Stores the low byte of i to page `list[i & mask]` for every i below n; returns the exits it took. */
  runWrites(list: Int32Array, mask: number, n: number): number {
    this.#begin();
    const before = this.exits;
    for (let i = 0; i < n; ) i = this.#writesFrom(list, mask, i, n);
    this.#settle();
    return this.exits - before;
  }

  /** KVM_RUN: goes on with runWrites() from element i to the first exit; returns the element after it, or -1. */
  runUntilExit(list: Int32Array, mask: number, from: number, n: number): number {
    const vm = this.#begin();
    const before = this.exits;
    let i = from;
    while (i < n && this.exits === before) {
      i = this.#hits.write(vm, list, mask, i, n);
      if (i >= n) break;
      i = this.#writesFrom(list, mask, i, i + 1);
      this.exits += this.#lane.settle(this.#steps);
    }
    this.#settle();
    return this.exits === before ? -1 : i;
  }

  /** Some loads that miss the TLB, from element `from` on; returns the element to go on with, and leaves the sum. */
  #loadsFrom(list: Int32Array, mask: number, from: number, n: number): number {
    const lane = this.#lane;
    let i = lane.fills(list, mask, from, n, 0);
    let sum = lane.sum;
    if (i < n) {
      i = lane.maps(list, mask, i, n, 0);
      sum = (sum + lane.sum) | 0;
    }
    if (i < n) {
      i = lane.devices(list, mask, i, n, 0);
      sum = (sum + lane.sum) | 0;
    }
    this.#read = sum;
    return i;
  }

  /** Some stores from element `from` on, below n; returns the element to go on with. */
  #writesFrom(list: Int32Array, mask: number, from: number, n: number): number {
    let i = this.#hits.write(this.#vm, list, mask, from, n);
    if (this.#remember && i < n) i = this.#lane.replay(list, mask, i, n);
    if (i > from || i >= n) return i;
    if (this.#lanes) {
      const lane = this.#lane;
      i = lane.refusals(list, mask, i, n);
      if (i < n) i = lane.fills(list, mask, i, n, F_WRITE);
      if (i < n) i = lane.maps(list, mask, i, n, F_WRITE);
      if (i < n) i = lane.coldStores(list, mask, i, n);
      if (i < n) i = lane.devices(list, mask, i, n, F_WRITE);
      if (i > from) return i;
    }
    this.#miss(list[i & mask]!, offsetOf(i), F_WRITE, i);
    return (i + 1) | 0;
  }

  #begin(): Vm {
    assert((this.#regs.cr0 & CR0_PG) === 0, 'accesses go by guest-physical page: paging must be off');
    this.#lanes = this.#mmu.nested && this.#mmu.apf === 0;
    return this.#vm;
  }

  #settle(): void {
    this.exits += this.#lane.settle(this.#steps);
    this.#steps.settle(this.#vm);
  }

  /** An access that the TLB does not know: stage 2, and page faults until it is done. Returns the byte read. */
  #miss(gfn: number, off: number, write: number, value: number): number {
    const vm = this.#vm;
    const mmu = this.#mmu;
    const fault = this.#fault;
    const need = write !== 0 ? SPTE_PRESENT | SPTE_WRITE : SPTE_PRESENT;
    let spte = gfn < GFN_LIMIT ? spteOf(vm, gfn) : 0;
    while ((spte & need) !== need) {
      if ((spte & SPTE_MMIO) !== 0 && this.#isKnownDevice(gfn)) return this.#emulate(gfn, off, write, value);
      fault.begin(gfn, write);
      fault.linear = gfn * PAGE_SIZE;
      fault.spte = spte;
      if ((spte & SPTE_PRESENT) !== 0 && mmu.fastPageFault(fault)) spte = spteOf(vm, gfn);
      else {
        if ((mmu.decide(fault) & V_ACTION) !== V_MAP) return this.#notMapped(fault, off, value);
        vm.record(EV_FAULT, fault.word, gfn, fault.verdict);
        const before = mmu.invalidations;
        mmu.faultInFrame(fault);
        const stale = mmu.isStale(fault, before);
        spte = stale ? spteOf(vm, gfn) : mmu.map(fault);
        if (!mmu.nested && !stale) directPtePrefetch(mmu, fault, this.#stage2);
      }
      this.#steps.count(WAY_FIXED);
    }
    return this.#hit(gfn, off, write, value, spte);
  }

  /** Stage 2 allows it: the page goes into the TLB, for stores too unless code was decoded from it. */
  #hit(gfn: number, off: number, write: number, value: number, spte: number): number {
    const vm = this.#vm;
    const h = vm.h;
    const frame = spte >>> SPTE_FRAME_SHIFT;
    const at = frame << PAGE_SHIFT;
    const e = tlbEntryOf(gfn);
    const code = vm.codeVersions[frame]!;
    h[e] = gfn;
    h[e + 1] = (spte & SPTE_WRITE) !== 0 && code === 0 ? gfn : -1;
    h[e + 2] = at;
    if (write === 0) return vm.mem[at + off]!;
    vm.mem[at + off] = value;
    if (code !== 0) vm.touchCode(frame);
    return 0;
  }

  /** A fault that no page answers: an error, an exit, or the emulator's own copy. */
  #notMapped(fault: Fault, off: number, value: number): number {
    const mmu = this.#mmu;
    const { gfn, write, word, verdict } = fault;
    const action = verdict & V_ACTION;
    if (action === V_EFAULT || isRefusal(word, verdict, write)) {
      this.exits = (this.exits + 1) | 0;
      const faulted = (verdict & V_HVA_OK) !== 0 ? WAY_STORE_FAULTED : WAY_STORE_REFUSED;
      this.#steps.count(action === V_EFAULT ? WAY_EFAULT : faulted);
      const kind = EV_REFUSED | ((value & 0xff) << EV_VALUE_SHIFT);
      this.#vm.record(kind, word, gfn, verdict | (off << EV_OFFSET_SHIFT));
      return 0;
    }
    assert(action === V_EMULATE || action === V_EMULATE_MMIO, 'a verdict that needs a vCPU to wait');
    this.#vm.record(EV_FAULT, word, gfn, verdict);
    if (action === V_EMULATE_MMIO) mmu.rememberMmio(fault);
    else if (write === 0 && !mmu.matchesMmioGfn(gfn)) {
      // A load is no page-table write: KVM lets the guest try once more before it emulates.
      this.#steps.count(WAY_RETRIED);
      mmu.decide(fault);
      this.#vm.record(EV_FAULT, word, gfn, verdict);
    }
    return this.#emulate(gfn, off, write, value);
  }

  /** handle_mmio_page_fault(): the MMIO entry is of this generation of slots. */
  #isKnownDevice(gfn: number): boolean {
    const mmu = this.#mmu;
    if (!mmu.matchesMmioGfn(gfn)) {
      if (!mmu.isCurrentMmio(gfn)) return false;
      mmu.cacheMmio(gfn * 4096, gfn);
    }
    mmu.taken.hows[HOW_MMIO]!++;
    return true;
  }

  /** The emulator does the access: on memory where it may, else userspace does. */
  #emulate(gfn: number, off: number, write: number, value: number): number {
    const vm = this.#vm;
    const mmu = this.#mmu;
    const isWrite = write !== 0;
    const device = gfn === APIC_GFN || mmu.matchesMmioGfn(gfn);
    const frame = device ? -1 : guestFrame(mmu, gfn, isWrite);
    if (frame >= 0) {
      this.#steps.count(isWrite ? WAY_STORE_COPIED : WAY_LOAD_COPIED);
      const at = (frame << PAGE_SHIFT) | off;
      if (isWrite) vm.mem[at] = value;
      return vm.mem[at]!;
    }
    this.exits = (this.exits + 1) | 0;
    if (isWrite) this.#steps.count(device ? WAY_DEVICE_STORE : WAY_STORE_REFUSED);
    else this.#steps.count(device ? WAY_DEVICE_LOAD : WAY_LOAD_REFUSED);
    const data = isWrite ? (value & 0xff) << EV_VALUE_SHIFT : 0;
    vm.record(EV_EXIT, KVM_EXIT_MMIO | data, gfn, off | (write << EV_OFFSET_SHIFT));
    return NO_DEVICE;
  }
}
