/**
 * The MMU: a guest page fault becomes a fault word, the word a verdict, the verdict a stage-2 entry, an
 * emulation or an error. kvm_mmu_page_fault() and direct_page_fault() of Linux 6.1 for guests whose
 * translation is theirs or nobody's (nested paging, or paging off); shadow.ts adds shadow page tables.
 */
import { GFN_LIMIT, KVM_MEM_READONLY, PAGE_SIZE } from '../../../abi.ts';
import { assert } from '../../../assert.ts';
import { F_PFNMAP, F_SLOT, F_SLOT_READONLY, F_VM_READ } from '../../../facts.ts';
import { STEP_INDEX } from '../../../steps.ts';
import type { AddressSpace } from '../../host/address-space.ts';
import { absentFacts, PTE_FACTS, PTE_FRAME_SHIFT } from '../../host/mapping.ts';
import { EV_FAULT, type Vm, WORDS } from '../../vm.ts';
import { Fault, FaultCounts, HOW_FAST, HOW_PATH, HOW_STALE } from '../fault/fault.ts';
import {
  V_ACTION,
  V_ASYNC,
  V_EFAULT,
  V_EMULATE,
  V_EMULATE_MMIO,
  V_FAULT_IN,
  V_FAULT_IN_WRITE,
  V_MAP,
  V_WRITABLE,
} from '../fault/fault-path.ts';
import { slotRecordOf } from '../slots/gfn-index.ts';
import {
  Memslots,
  SLOT_BASE_GFN,
  SLOT_DIRTY,
  SLOT_FACTS,
  SLOT_PTE_OFFSET,
  SLOT_PTES,
} from '../slots/memslots.ts';
import { mapLarge, zapCollapsible } from './large-pages.ts';
import { MmioInfo } from './mmio-info.ts';
import {
  SPTE_FAST_FIXABLE,
  SPTE_FRAME_SHIFT,
  SPTE_HOST_WRITABLE,
  SPTE_MMIO,
  SPTE_MMU_WRITABLE,
  SPTE_PRESENT,
  SPTE_WRITE,
  Stage2,
  spteOf,
} from './stage2.ts';

/** What a page fault came to. Positive: enter the guest, or emulate; negative: KVM_RUN's error. */
export const PF_FIXED = 1;
export const PF_EMULATE = 2;
/** Nothing was done; the guest will fault again (an asynchronous fault, or a table that changed). */
export const PF_RETRY = 3;
export const PF_EFAULT = -1;

const STAGE2_MAP = STEP_INDEX['stage2-map'];
const FAST_PAGE_FAULT = STEP_INDEX['fast-page-fault'];

/** The memory side of one vCPU. */
export class Mmu extends MmioInfo {
  readonly vm: Vm;
  readonly host: AddressSpace;
  readonly slots: Memslots;
  readonly stage2: Stage2;
  /** F_APF while the vCPU can take asynchronous faults, else 0. */
  apf = 0;
  /** Faults so far, by the way they took. */
  readonly taken = new FaultCounts();
  /** For look-ups that are no fault, and for pages that prefetch.ts maps beside the one that faulted. */
  readonly #look = new Fault();
  readonly neighbour = new Fault();
  /** MMIO entries made, and faults of the kernel's own when an asynchronous one was ready. */
  mmioEntries = 0;
  prefetched = 0;
  /** Calls of the notifier so far (`mmu_invalidate_seq`). */
  invalidations = 0;
  /** An asynchronous fault is to be set up. */
  onAsync: (fault: Fault) => void = () => {};
  /** Shadow page tables, where they are in use, forget what they had. */
  onZap: () => void = () => {};
  /** …or lose write access to these frames, for the dirty log. */
  onWriteProtect: (gfn: number, npages: number) => void = () => {};

  constructor(vm: Vm, host: AddressSpace, nested: boolean) {
    super(nested);
    this.vm = vm;
    this.host = host;
    this.stage2 = new Stage2(vm);
    this.slots = new Memslots(
      vm,
      host,
      {
        zapAll: () => {
          this.stage2.zapAll();
          this.onZap();
        },
        split: (gfn, npages) => this.stage2.split(gfn, npages),
        collapse: (slot) => zapCollapsible(this, slot),
        writeProtect: (gfn, npages) => {
          this.stage2.writeProtect(gfn, npages);
          this.onWriteProtect(gfn, npages);
        },
        newGeneration: () => {
          this.generation++;
          this.vm.flushTlb();
        },
      },
      nested,
    );
    host.onInvalidate = (hvn, npages) => this.invalidate(hvn, npages);
  }

  /** The MMU notifier (kvm_mmu_notifier_invalidate_range_start()): a host range changed, its entries go. */
  invalidate(hvn: number, npages: number): void {
    this.invalidations++;
    this.slots.refreshFacts();
    this.vm.flushTlb();
    for (const slot of this.slots.all()) {
      const first = slot.userspaceAddr / PAGE_SIZE;
      const start = Math.max(first, hvn);
      const end = Math.min(first + slot.npages, hvn + npages);
      if (start < end) this.stage2.zap(slot.baseGfn + start - first, end - start);
    }
    this.onZap();
  }

  /** The fault word that an access to a gfn would have. */
  wordOf(gfn: number, write: number): number {
    const look = this.#look;
    look.gfn = gfn;
    look.write = write;
    return this.lookUp(look);
  }

  /** Looks the facts up: slot record, host pte and word go into the record. Returns the word. */
  lookUp(fault: Fault): number {
    const { gfn } = fault;
    const slot = gfn < GFN_LIMIT ? slotRecordOf(this.vm, gfn) : 0;
    fault.slot = slot;
    fault.pte = 0;
    fault.word = fault.write | this.apf | (slot === 0 ? 0 : this.#slotFacts(fault));
    return fault.word;
  }

  #slotFacts(fault: Fault): number {
    const { gfn, slot } = fault;
    const { h } = this.vm;
    const facts = h[slot + SLOT_FACTS]!;
    if (facts < 0) return this.#mixedFacts(slot, gfn);
    if ((facts & (F_VM_READ | F_PFNMAP)) === 0) return facts;
    const page = gfn - h[slot + SLOT_BASE_GFN]! + h[slot + SLOT_PTE_OFFSET]!;
    const leaf = h[h[slot + SLOT_PTES]! + (page >>> 9)]!;
    const pte = leaf === 0 ? 0 : h[leaf + (page & 511)]!;
    fault.pte = pte;
    return facts | (pte !== 0 ? pte & PTE_FACTS : this.#absentFacts(slot, page));
  }

  #absentFacts(record: number, page: number): number {
    const mapping = this.slots.slotOfRecord(record)?.mapping;
    return mapping === undefined ? 0 : absentFacts(this.vm, mapping, page);
  }

  #mixedFacts(record: number, gfn: number): number {
    const slot = this.slots.slotOfRecord(record)!;
    const readonly = (slot.flags & KVM_MEM_READONLY) !== 0 ? F_SLOT_READONLY : 0;
    const hvn = slot.userspaceAddr / PAGE_SIZE + gfn - slot.baseGfn;
    return F_SLOT | readonly | this.host.facts(hvn);
  }

  /** Decides a fault: looks its facts up, counts the word and takes the verdict. Returns the verdict. */
  decide(fault: Fault): number {
    const word = this.lookUp(fault);
    const verdict = this.vm.verdicts[word]!;
    this.vm.h[WORDS + word]!++;
    fault.how = HOW_PATH;
    fault.verdict = verdict;
    return verdict;
  }

  /** Decides a fault and, where a page is to be mapped, lets the host fault it in. Returns the verdict; makes no entry. */
  resolve(fault: Fault): number {
    const verdict = this.decide(fault);
    this.vm.record(EV_FAULT, fault.word, fault.gfn, verdict);
    if ((verdict & V_ACTION) === V_MAP) this.faultInFrame(fault);
    else if ((verdict & V_ACTION) === V_ASYNC) this.onAsync(fault);
    return verdict;
  }

  /** After a V_MAP verdict: the frame to be mapped. */
  faultInFrame(fault: Fault): void {
    const own = this.vm.h[fault.slot + SLOT_FACTS]! >= 0;
    if (own && (fault.verdict & V_FAULT_IN) === 0) fault.frame = fault.pte >>> PTE_FRAME_SHIFT;
    else this.#faultIn(fault, own);
  }

  /** Lets the host serve the fault: the slot's own mapping, or whatever lies there now where that changed. */
  #faultIn(fault: Fault, own: boolean): void {
    const { h } = this.vm;
    const { faults } = this.host;
    const record = fault.slot;
    const write = (fault.verdict & V_FAULT_IN_WRITE) !== 0;
    const slot = this.slots.slotOfRecord(record)!;
    const hvn = slot.userspaceAddr / PAGE_SIZE + fault.gfn - slot.baseGfn;
    const mapping = own ? slot.mapping! : this.host.find(hvn)!;
    const page = own
      ? fault.gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!
      : hvn - mapping.startHvn;
    fault.frame = faults.faultIn(mapping, page, write) >>> PTE_FRAME_SHIFT;
    fault.host = faults.lastFault;
  }

  /** make_spte(): the entry that a V_MAP verdict allows; logs the page if it may be written. */
  makeSpte(fault: Fault, verdict = fault.verdict): number {
    const writable = (verdict & V_WRITABLE) !== 0;
    if (writable) this.#logDirty(fault.gfn);
    const rights = writable ? SPTE_WRITE | SPTE_HOST_WRITABLE | SPTE_MMU_WRITABLE : 0;
    return (fault.frame << SPTE_FRAME_SHIFT) | SPTE_PRESENT | rights;
  }

  #logDirty(gfn: number): void {
    const record = slotRecordOf(this.vm, gfn);
    if (this.vm.h[record + SLOT_DIRTY] === 0) return;
    this.slots.markDirty(record, gfn);
  }

  /** direct_page_fault(): PF_*. */
  directPageFault(fault: Fault): number {
    const { gfn } = fault;
    fault.spte = gfn < GFN_LIMIT ? spteOf(this.vm, gfn) : 0;
    if ((fault.spte & SPTE_PRESENT) !== 0 && this.fastPageFault(fault)) return PF_FIXED;
    const before = this.invalidations;
    switch (this.resolve(fault) & V_ACTION) {
      case V_MAP:
        if (this.isStale(fault, before)) return PF_RETRY;
        this.map(fault);
        return PF_FIXED;
      case V_EMULATE:
        return PF_EMULATE;
      case V_EMULATE_MMIO:
        this.rememberMmio(fault);
        return PF_EMULATE;
      case V_EFAULT:
        return PF_EFAULT;
      default:
        assert(fault.verdict !== 0, `fault word ${fault.word.toString(16)} cannot occur`);
        return PF_RETRY;
    }
  }

  /** is_page_fault_stale(): did serving the fault make the host change what stands behind the page? */
  isStale(fault: Fault, before: number): boolean {
    if (this.invalidations === before) return false;
    this.taken.took(fault, HOW_STALE);
    return true;
  }

  /** Makes the entry of a V_MAP verdict whose frame is known. */
  map(fault: Fault): number {
    const spte = this.makeSpte(fault);
    if (!mapLarge(this, fault.gfn, spte)) this.stage2.set(fault.gfn, spte);
    this.vm.count(STAGE2_MAP);
    return spte;
  }

  /** The V_EMULATE_MMIO verdict: this gfn is a device from now on, whatever entry it had. */
  rememberMmio(fault: Fault): void {
    const { gfn } = fault;
    this.cacheMmio(fault.linear, gfn);
    this.vm.count(STAGE2_MAP);
    if (gfn < GFN_LIMIT) {
      this.stage2.setMmio(gfn, this.generation);
      this.mmioEntries++;
    }
    if (fault.spte !== 0) this.vm.flushTlb();
  }

  /** fast_page_fault(): gives an entry its write access back where that was only taken for the dirty log. */
  fastPageFault(fault: Fault): boolean {
    const { gfn, spte } = fault;
    if (fault.write === 0) return false;
    this.vm.count(FAST_PAGE_FAULT);
    fault.lookedFast = true;
    if ((spte & SPTE_FAST_FIXABLE) !== SPTE_FAST_FIXABLE) return false;
    this.stage2.set(gfn, spte | SPTE_WRITE);
    this.#logDirty(gfn);
    this.taken.took(fault, HOW_FAST);
    this.vm.record(EV_FAULT, -1, gfn, spte);
    return true;
  }

  /** get_mmio_spte() and check_mmio_spte(): is the entry of a gfn an MMIO entry of this generation? */
  isCurrentMmio(gfn: number): boolean {
    const spte = gfn < GFN_LIMIT ? spteOf(this.vm, gfn) : 0;
    return (spte & SPTE_MMIO) !== 0 && this.stage2.isCurrentMmio(spte, this.generation);
  }
}
