/**
 * Memory slots: which guest frames have host memory behind them. KVM_SET_USER_MEMORY_REGION with the checks of
 * Linux 6.1 in their order, and an index that finds the slot of a gfn in three loads however many there are.
 */
import {
  EEXIST,
  EINVAL,
  ENOENT,
  GFN_LIMIT,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  type MemoryRegion,
  PAGE_SHIFT,
  PAGE_SIZE,
} from '../../../abi.ts';
import { F_SLOT, F_SLOT_READONLY } from '../../../facts.ts';
import type { DirtyLog } from '../../../machine.ts';
import { STEP_INDEX } from '../../../steps.ts';
import type { AddressSpace } from '../../host/address-space.ts';
import { type Mapping, uniformFacts } from '../../host/mapping.ts';
import { EV_SLOT, type Vm } from '../../vm.ts';
import { indexSlot } from './gfn-index.ts';

/** `KVM_MEM_SLOTS_NUM` less the kernel's own, and the most pages a slot may have. */
const KVM_USER_MEM_SLOTS = 32764;
const KVM_ADDRESS_SPACE_NUM = 2;
const KVM_MEM_MAX_NR_PAGES = 2 ** 31 - 1;
/** End of the addresses a process may use. */
const TASK_SIZE = 2 ** 47;

/** A slot in the heap: eight ints, so that the fault path finds all it needs in one cache line. */
export const SLOT_BASE_GFN = 0;
/** Slot and VMA facts that hold for every page, or -1: look at each page (a mapping with several VMAs). */
export const SLOT_FACTS = 1;
/** Directory of the mapping's ptes, and the slot's first page in it. */
export const SLOT_PTES = 2;
export const SLOT_PTE_OFFSET = 3;
/** Offset of the dirty bitmap, or 0. */
export const SLOT_DIRTY = 4;
/** The record's number, which it keeps whatever slot it describes. */
const SLOT_NUMBER = 5;
/** Directory of the backing's pages where the slot's mapping shares a memfd, else 0: what a host fault reads. */
export const SLOT_PAGES = 6;
/** 1 where the memory behind it can have huge pages, else 0. */
export const SLOT_LARGE = 7;
const SLOT_INTS = 8;

/** A slot as the ioctl sees it. */
export interface Memslot {
  readonly id: number;
  readonly baseGfn: number;
  readonly npages: number;
  readonly userspaceAddr: number;
  readonly flags: number;
  /** Its record in the heap. */
  readonly record: number;
  readonly mapping: Mapping | undefined;
}

/** What a slot change asks of the rest of the machine. */
export interface SlotEvents {
  /** All stage-2 entries must go (kvm_mmu_zap_all_fast(): a slot was deleted or moved). */
  zapAll(): void;
  /** Dirty logging began: large entries are split, so that pages are logged one by one… */
  split(baseGfn: number, npages: number): void;
  /** …and write access is taken from the slot's entries. */
  writeProtect(baseGfn: number, npages: number): void;
  /** Dirty logging ended: small entries that could be one large one go. */
  collapse(slot: Memslot): void;
  /** A new set of slots is in force: cached MMIO information is stale. */
  newGeneration(): void;
}

/** The slots of one VM, address space 0; slots of the SMM address space are kept but never used. */
export class Memslots {
  readonly #vm: Vm;
  readonly #host: AddressSpace;
  readonly #events: SlotEvents;
  /** kvm_mmu_max_gfn() + 1: with nested paging what the processor has, else all that an entry could hold. */
  readonly #maxGfns: number;
  readonly #slots = new Map<number, Memslot>();
  /** Slots by their record's number: what the index leads to. */
  readonly #byNumber: (Memslot | undefined)[] = [];
  readonly #freeRecords: number[] = [];

  constructor(vm: Vm, host: AddressSpace, events: SlotEvents, nested: boolean) {
    this.#maxGfns = nested ? GFN_LIMIT : 2 ** (52 - PAGE_SHIFT);
    this.#vm = vm;
    this.#host = host;
    this.#events = events;
  }

  /** The slot behind a record offset that the index gave. */
  slotOfRecord(record: number): Memslot | undefined {
    return this.#byNumber[this.#vm.h[record + SLOT_NUMBER]!];
  }

  /** `__kvm_set_memory_region()`: 0 or -errno; the first check that fails wins. */
  set(region: MemoryRegion): number {
    const ret = this.#check(region) || this.#change(region);
    this.#vm.count(STEP_INDEX.syscall);
    this.#vm.record(EV_SLOT, region.slot | (region.flags << 16), region.guestPhysAddr / PAGE_SIZE, ret);
    return ret;
  }

  #check(r: MemoryRegion): number {
    if ((r.flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)) !== 0) return -EINVAL;
    if (r.memorySize % PAGE_SIZE !== 0 || r.guestPhysAddr % PAGE_SIZE !== 0) return -EINVAL;
    if (r.userspaceAddr % PAGE_SIZE !== 0 || r.userspaceAddr + r.memorySize > TASK_SIZE) return -EINVAL;
    if (r.slot >>> 16 >= KVM_ADDRESS_SPACE_NUM || (r.slot & 0xffff) >= KVM_USER_MEM_SLOTS) return -EINVAL;
    if (r.guestPhysAddr + r.memorySize > 2 ** 64) return -EINVAL;
    return r.memorySize / PAGE_SIZE > KVM_MEM_MAX_NR_PAGES ? -EINVAL : 0;
  }

  #change(r: MemoryRegion): number {
    const old = this.#slots.get(r.slot);
    if (r.memorySize === 0) return old === undefined ? -EINVAL : this.#delete(old);
    const baseGfn = r.guestPhysAddr / PAGE_SIZE;
    const npages = r.memorySize / PAGE_SIZE;
    if (old !== undefined) {
      if (r.userspaceAddr !== old.userspaceAddr || npages !== old.npages) return -EINVAL;
      if (((r.flags ^ old.flags) & KVM_MEM_READONLY) !== 0) return -EINVAL;
      if (baseGfn === old.baseGfn) return r.flags === old.flags ? 0 : this.#changeFlags(old, r.flags);
    }
    if (this.#overlaps(r.slot, baseGfn, npages)) return -EEXIST;
    if (baseGfn + npages > this.#maxGfns) return -EINVAL;
    if (old !== undefined) this.#delete(old);
    else this.#vm.count(STEP_INDEX['slot-change']);
    const bitmap = old === undefined ? 0 : this.#vm.h[old.record + SLOT_DIRTY]!;
    const slot = this.#create(r, baseGfn, npages);
    // A slot that moves takes its dirty bitmap along.
    if (bitmap !== 0 && (r.flags & KVM_MEM_LOG_DIRTY_PAGES) !== 0)
      this.#vm.h[slot.record + SLOT_DIRTY] = bitmap;
    return 0;
  }

  #overlaps(id: number, baseGfn: number, npages: number): boolean {
    for (const s of this.#slots.values()) {
      if (s.id === id || s.id >>> 16 !== id >>> 16) continue;
      if (baseGfn < s.baseGfn + s.npages && s.baseGfn < baseGfn + npages) return true;
    }
    return false;
  }

  #create(r: MemoryRegion, baseGfn: number, npages: number): Memslot {
    const record = this.#freeRecords.pop() ?? this.#newRecord();
    const mapping = this.#host.find(r.userspaceAddr / PAGE_SIZE);
    const slot: Memslot = {
      id: r.slot,
      baseGfn,
      npages,
      userspaceAddr: r.userspaceAddr,
      flags: r.flags,
      record,
      mapping,
    };
    this.#slots.set(slot.id, slot);
    this.#setByRecord(record, slot);
    this.#fillRecord(slot);
    if (slot.id >>> 16 === 0) indexSlot(this.#vm, slot.baseGfn, slot.npages, record);
    this.#events.newGeneration();
    return slot;
  }

  #newRecord(): number {
    const record = this.#vm.alloc(SLOT_INTS);
    this.#vm.h[record + SLOT_NUMBER] = this.#byNumber.push(undefined) - 1;
    return record;
  }

  #setByRecord(record: number, slot: Memslot | undefined): void {
    this.#byNumber[this.#vm.h[record + SLOT_NUMBER]!] = slot;
  }

  #fillRecord(slot: Memslot): void {
    const { h } = this.#vm;
    const at = slot.record;
    h[at + SLOT_BASE_GFN] = slot.baseGfn;
    h[at + SLOT_FACTS] = this.#facts(slot);
    h[at + SLOT_PTES] = slot.mapping?.ptes ?? 0;
    h[at + SLOT_PTE_OFFSET] =
      slot.mapping === undefined ? 0 : slot.userspaceAddr / PAGE_SIZE - slot.mapping.startHvn;
    h[at + SLOT_DIRTY] = 0;
    const { shared: maps, backing } = slot.mapping ?? {};
    const shared = maps === true && backing?.kind === 'shm';
    h[at + SLOT_PAGES] = shared ? backing.pages : 0;
    h[at + SLOT_LARGE] = slot.mapping?.pmds === undefined ? 0 : 1;
    const logs = (slot.flags & KVM_MEM_LOG_DIRTY_PAGES) !== 0;
    if (logs) {
      const bitmap = this.#vm.alloc(Math.ceil(slot.npages / 32));
      this.#vm.h[at + SLOT_DIRTY] = bitmap;
    }
  }

  /** The facts that every page of the slot shares, if they do. */
  #facts(slot: Memslot): number {
    const readonly = (slot.flags & KVM_MEM_READONLY) !== 0 ? F_SLOT | F_SLOT_READONLY : F_SLOT;
    if (slot.mapping === undefined) return -1;
    const page = slot.userspaceAddr / PAGE_SIZE - slot.mapping.startHvn;
    const vma = uniformFacts(slot.mapping, page, slot.npages);
    return vma < 0 ? -1 : readonly | vma;
  }

  /** The VMM changed mappings: what slots had cached of them is looked up again. */
  refreshFacts(): void {
    for (const slot of this.#slots.values()) {
      const mapping = this.#host.find(slot.userspaceAddr / PAGE_SIZE);
      const facts = mapping === slot.mapping ? this.#facts(slot) : -1;
      this.#vm.h[slot.record + SLOT_FACTS] = facts;
    }
  }

  #delete(slot: Memslot): number {
    this.#vm.count(STEP_INDEX['slot-change']);
    this.#slots.delete(slot.id);
    this.#setByRecord(slot.record, undefined);
    this.#freeRecords.push(slot.record);
    if (slot.id >>> 16 === 0) indexSlot(this.#vm, slot.baseGfn, slot.npages, 0);
    this.#events.zapAll();
    this.#events.newGeneration();
    return 0;
  }

  #changeFlags(old: Memslot, flags: number): number {
    this.#vm.count(STEP_INDEX['slot-change']);
    const slot = { ...old, flags };
    this.#slots.set(slot.id, slot);
    this.#setByRecord(slot.record, slot);
    this.#fillRecord(slot);
    this.#applyFlags(slot);
    // Any change makes a new set of slots (kvm_swap_active_memslots()), and so a new generation.
    this.#events.newGeneration();
    return 0;
  }

  /** kvm_mmu_slot_apply_flags(): the only flag that changes is the dirty log's, and nothing can dirty a read-only slot. */
  #applyFlags(slot: Memslot): void {
    if ((slot.flags & KVM_MEM_READONLY) !== 0) return;
    if ((slot.flags & KVM_MEM_LOG_DIRTY_PAGES) === 0) {
      this.#events.collapse(slot);
      return;
    }
    this.#events.split(slot.baseGfn, slot.npages);
    this.#events.writeProtect(slot.baseGfn, slot.npages);
  }

  /** KVM_GET_DIRTY_LOG: hands the bitmap out, clears it, and write-protects what was dirty. */
  getDirtyLog(id: number): DirtyLog {
    const slot = this.#slots.get(id);
    const bitmap = new Uint8Array(Math.ceil((slot?.npages ?? 0) / 8));
    if (id >>> 16 >= KVM_ADDRESS_SPACE_NUM || (id & 0xffff) >= KVM_USER_MEM_SLOTS)
      return { ret: -EINVAL, bitmap };
    if (slot === undefined) return { ret: -ENOENT, bitmap };
    const { h } = this.#vm;
    const dirty = h[slot.record + SLOT_DIRTY]!;
    if (dirty === 0) return { ret: -ENOENT, bitmap };
    for (let page = 0; page < slot.npages; page++) {
      if (((h[dirty + (page >>> 5)]! >>> (page & 31)) & 1) === 0) continue;
      bitmap[page >>> 3]! |= 1 << (page & 7);
      this.#events.writeProtect(slot.baseGfn + page, 1);
    }
    h.fill(0, dirty, dirty + Math.ceil(slot.npages / 32));
    return { ret: 0, bitmap };
  }

  /** mark_page_dirty_in_slot(). */
  markDirty(record: number, gfn: number): void {
    const { h } = this.#vm;
    const dirty = h[record + SLOT_DIRTY]!;
    if (dirty === 0) return;
    const page = gfn - h[record + SLOT_BASE_GFN]!;
    h[dirty + (page >>> 5)]! |= 1 << (page & 31);
  }

  /** Every slot, for the VMM's alias and for reports. */
  all(): Iterable<Memslot> {
    return this.#slots.values();
  }
}
