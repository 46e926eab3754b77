/**
 * The MMU: a guest page fault becomes a fault word, the word a verdict, the verdict a stage-2 entry, an
 * emulation or an error. kvm_mmu_page_fault() and direct_page_fault() of Linux 6.1 for guests whose
 * translation is theirs or nobody's (nested paging, or paging off); shadow.ts adds shadow page tables.
 */
import { GFN_LIMIT, KVM_MEM_READONLY, PAGE_SIZE } from '../../../abi.ts';
import { assert } from '../../../assert.ts';
import { F_SLOT, F_SLOT_READONLY, F_VM_READ } from '../../../facts.ts';
import { STEP_INDEX } from '../../../steps.ts';
import type { AddressSpace } from '../../host/address-space.ts';
import { absentFacts, PTE_FACTS, PTE_FRAME_SHIFT } from '../../host/mapping.ts';
import { EV_FAULT, type Vm, WORDS } from '../../vm.ts';
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
  /** Word, verdict and frame of the last fault resolved: for the caller, and for explanations. */
  word = 0;
  verdict = 0;
  frame = 0;
  /** Slot record and host pte that the last word was read from, 0 for none. */
  #record = 0;
  #pte = 0;
  /** Faults that needed no look-up: write access given back for the dirty log, or already there. */
  fastFixed = 0;
  /** Faults on MMIO entries. */
  mmioFaults = 0;
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

  /** The fault word of an access to a gfn. */
  wordOf(gfn: number, write: number): number {
    const vm = this.vm;
    const record = gfn < GFN_LIMIT ? slotRecordOf(vm, gfn) : 0;
    this.#record = record;
    const word = write | this.apf;
    if (record === 0) return word;
    const h = vm.h;
    const facts = h[record + SLOT_FACTS]!;
    if (facts < 0) return this.#mixedWord(record, gfn) | word;
    if ((facts & F_VM_READ) === 0) return facts | word;
    const page = gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!;
    const leaf = h[h[record + SLOT_PTES]! + (page >>> 9)]!;
    const pte = leaf === 0 ? 0 : h[leaf + (page & 511)]!;
    this.#pte = pte;
    if (pte !== 0) return facts | (pte & PTE_FACTS) | word;
    return facts | this.#absentFacts(record, page) | word;
  }

  #absentFacts(record: number, page: number): number {
    const mapping = this.slots.slotOfRecord(record)?.mapping;
    return mapping === undefined ? 0 : absentFacts(this.vm, mapping, page);
  }

  #mixedWord(record: number, gfn: number): number {
    const slot = this.slots.slotOfRecord(record)!;
    const readonly = (slot.flags & KVM_MEM_READONLY) !== 0 ? F_SLOT_READONLY : 0;
    const hvn = slot.userspaceAddr / PAGE_SIZE + gfn - slot.baseGfn;
    return F_SLOT | readonly | this.host.facts(hvn);
  }

  /** Decides a fault: counts its word and leaves word and verdict in the fields. Returns the verdict. */
  decide(gfn: number, write: number): number {
    const vm = this.vm;
    const word = this.wordOf(gfn, write);
    const verdict = vm.verdicts[word]!;
    vm.h[WORDS + word]!++;
    this.word = word;
    this.verdict = verdict;
    return verdict;
  }

  /**
   * Decides a fault and, where a page is to be mapped, lets the host fault it in and leaves its frame in the
   * field too. Returns the verdict. No entry is made yet.
   */
  resolve(gfn: number, write: number): number {
    const verdict = this.decide(gfn, write);
    this.vm.record(EV_FAULT, this.word, gfn, verdict);
    if ((verdict & V_ACTION) === V_MAP) this.faultInFrame(gfn, verdict);
    else if ((verdict & V_ACTION) === V_ASYNC) this.#completeAsync(gfn);
    return verdict;
  }

  /** After decide() said V_MAP: the frame to be mapped, into its field. */
  faultInFrame(gfn: number, verdict: number): void {
    if ((verdict & V_FAULT_IN) !== 0) this.frame = this.#faultIn(gfn, verdict);
    else if (this.vm.h[this.#record + SLOT_FACTS]! < 0) this.frame = this.#faultIn(gfn, 0);
    else this.frame = this.#pte >>> PTE_FRAME_SHIFT;
  }

  /** The frame behind a gfn that the host has mapped. */
  mappedFrame(gfn: number): number {
    this.wordOf(gfn, 0);
    return this.vm.h[this.#record + SLOT_FACTS]! < 0 ? this.#faultIn(gfn, 0) : this.#pte >>> PTE_FRAME_SHIFT;
  }

  /** Lets the host serve the fault: the slot's own mapping, or whatever lies there now where that changed. */
  #faultIn(gfn: number, verdict: number): number {
    const h = this.vm.h;
    const record = this.#record;
    const write = (verdict & V_FAULT_IN_WRITE) !== 0;
    const slot = this.slots.slotOfRecord(record)!;
    if (h[record + SLOT_FACTS]! >= 0) {
      const page = gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!;
      return this.host.faults.faultIn(slot.mapping!, page, write) >>> PTE_FRAME_SHIFT;
    }
    const hvn = slot.userspaceAddr / PAGE_SIZE + gfn - slot.baseGfn;
    const mapping = this.host.find(hvn)!;
    return this.host.faults.faultIn(mapping, hvn - mapping.startHvn, write) >>> PTE_FRAME_SHIFT;
  }

  /**
   * An asynchronous fault from set-up to ready: the read that the nowait attempt began is done while the vCPU
   * sleeps (KVM_REQ_APF_HALT), and the guest faults once more. A page that no read brings stays away.
   */
  #completeAsync(gfn: number): void {
    const slot = this.slots.slotOfRecord(slotRecordOf(this.vm, gfn))!;
    const hvn = slot.userspaceAddr / PAGE_SIZE + gfn - slot.baseGfn;
    this.host.completeRead(hvn);
  }

  /** make_spte(): the entry that a V_MAP verdict allows; logs the page if it may be written. */
  makeSpte(gfn: number, verdict: number): number {
    const writable = (verdict & V_WRITABLE) !== 0;
    if (writable) this.#logDirty(gfn);
    const rights = writable ? SPTE_WRITE | SPTE_HOST_WRITABLE | SPTE_MMU_WRITABLE : 0;
    return (this.frame << SPTE_FRAME_SHIFT) | SPTE_PRESENT | rights;
  }

  #logDirty(gfn: number): void {
    const record = slotRecordOf(this.vm, gfn);
    if (this.vm.h[record + SLOT_DIRTY] === 0) return;
    this.slots.markDirty(record, gfn);
  }

  /** direct_page_fault(): gva is for the MMIO cache and only used under shadow paging. */
  directPageFault(gfn: number, write: number, gva: number): number {
    const vm = this.vm;
    const old = gfn < GFN_LIMIT ? spteOf(vm, gfn) : 0;
    if ((old & SPTE_PRESENT) !== 0 && this.fastPageFault(gfn, old, write)) return PF_FIXED;
    const verdict = this.resolve(gfn, write);
    switch (verdict & V_ACTION) {
      case V_MAP:
        this.map(gfn, verdict);
        return PF_FIXED;
      case V_EMULATE:
        return PF_EMULATE;
      case V_EMULATE_MMIO:
        this.rememberMmio(gva, gfn, old);
        return PF_EMULATE;
      case V_EFAULT:
        return PF_EFAULT;
      default:
        assert(verdict !== 0, `fault word ${this.word.toString(16)} cannot occur`);
        return PF_RETRY;
    }
  }

  /** Makes the entry of a V_MAP verdict whose frame is in its field. */
  map(gfn: number, verdict: number): number {
    const spte = this.makeSpte(gfn, verdict);
    this.stage2.set(gfn, spte);
    this.vm.count(STAGE2_MAP);
    return spte;
  }

  /** The V_EMULATE_MMIO verdict: this gfn is a device from now on, whatever entry it had. */
  rememberMmio(gva: number, gfn: number, old: number): void {
    this.cacheMmio(gva, gfn);
    this.vm.count(STAGE2_MAP);
    if (gfn < GFN_LIMIT) this.stage2.setMmio(gfn, this.generation);
    if (old !== 0) this.vm.flushTlb();
  }

  /** fast_page_fault(): an entry whose write access was only taken for the dirty log, or a spurious fault. */
  fastPageFault(gfn: number, spte: number, write: number): boolean {
    if (write !== 0 && (spte & SPTE_WRITE) === 0) {
      this.vm.count(FAST_PAGE_FAULT);
      if ((spte & SPTE_FAST_FIXABLE) !== SPTE_FAST_FIXABLE) return false;
      this.stage2.set(gfn, spte | SPTE_WRITE);
      this.#logDirty(gfn);
    }
    this.fastFixed++;
    this.vm.record(EV_FAULT, -1, gfn, spte);
    return true;
  }

  /** get_mmio_spte() and check_mmio_spte(): the gfn if its entry is an MMIO entry of this generation, else -1. */
  currentMmioGfn(gfn: number): number {
    const spte = gfn < GFN_LIMIT ? spteOf(this.vm, gfn) : 0;
    return (spte & SPTE_MMIO) !== 0 && this.stage2.isCurrentMmio(spte, this.generation) ? gfn : -1;
  }
}
