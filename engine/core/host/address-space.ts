/**
 * The VMM's address space: mappings over backing objects, their page tables, and what the host does when
 * somebody touches a page. Facts about Linux's mm that KVM's decisions depend on are here and nowhere else:
 * who is resident, who is mapped writable, what needs I/O, what copy on write makes of a store.
 */
import { EINVAL, ENOMEM, PAGE_SHIFT, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi.ts';
import {
  F_COLD,
  F_MKWRITE,
  F_PTE_PRESENT,
  F_PTE_WRITE,
  F_SIGBUS,
  F_VM_READ,
  F_VM_WRITE,
  F_VMA,
} from '../../facts.ts';
import type { BackingKind, BackingSpec, MappingSpec } from '../../machine.ts';
import { STEP_INDEX } from '../../steps.ts';
import type { Vm } from '../vm.ts';

/**
 * A pte: the frame above bit 11, below it the facts F_PTE_PRESENT and F_PTE_WRITE in their own places, and
 * PTE_PRIVATE for a page this mapping owns alone. 0 is no entry.
 */
export const PTE_FRAME_SHIFT = 11;
export const PTE_FACTS = F_PTE_PRESENT | F_PTE_WRITE;
const PTE_PRIVATE = 1;

/** A backing's page: its frame above bit 2; in the page cache or only on the disk. */
export const PAGE_IN_CACHE = 1;
export const PAGE_EXISTS = 2;
export const PAGE_FRAME_SHIFT = 2;

/** Pages a read fault maps at once where they are in memory (`fault_around_bytes`, 64 KiB). */
const FAULT_AROUND_PAGES = 16;
/**
 * First host page number handed out by mmap(), and the gap left between mappings. As in a real process nothing
 * is aligned to more than a page: a window of fault-around may end inside a mapping.
 */
const MMAP_BASE = 0x100d;
const MMAP_GAP = 16;

/** A memfd, anonymous memory, or a file. */
export interface Backing {
  readonly kind: BackingKind;
  readonly npages: number;
  readonly bytes: number;
  /** Table of pages, by page number. */
  readonly pages: number;
}

/** A run of pages of a mapping with one protection: what the kernel calls a VMA. */
interface Vma {
  start: number;
  end: number;
  prot: number;
}

/** One mmap(): its VMAs (more than one after a partial mprotect) and its page table. */
export interface Mapping {
  readonly startHvn: number;
  readonly npages: number;
  readonly shared: boolean;
  readonly backing: Backing;
  /** Table of ptes, by page of the mapping. */
  readonly ptes: number;
  vmas: Vma[];
}

/** What a host fault did; counters and costs want to know. */
export const HOST_NOTHING = 0;
export const HOST_MINOR = 1;
export const HOST_COW = 2;
export const HOST_IO = 4;

/** The VMM's memory. `onInvalidate` is the MMU notifier: pages of a host range changed or went. */
export class AddressSpace {
  readonly #vm: Vm;
  readonly #backings: Backing[] = [];
  readonly #mappings: Mapping[] = [];
  #nextHvn = MMAP_BASE;
  onInvalidate: (startHvn: number, npages: number) => void = () => {};
  /** HOST_* of the last fault served. */
  lastFault = HOST_NOTHING;

  constructor(vm: Vm) {
    this.#vm = vm;
  }

  /** Makes a backing object, filled; returns its id. */
  createBacking(spec: BackingSpec): number {
    const npages = Math.ceil(spec.bytes / PAGE_SIZE);
    const backing = { kind: spec.kind, npages, bytes: spec.bytes, pages: this.#vm.allocTable(npages) };
    const fill = spec.fill ?? 0;
    if (fill !== 0 || spec.kind === 'file') {
      for (let i = 0; i < npages; i++) {
        const frame = this.#newPage(backing, i);
        if (fill !== 0) this.#vm.mem.fill(fill, frame << PAGE_SHIFT, (frame + 1) << PAGE_SHIFT);
      }
    }
    return this.#backings.push(backing) - 1;
  }

  #newPage(backing: Backing, page: number): number {
    const frame = this.#vm.allocFrame();
    const entry = (frame << PAGE_FRAME_SHIFT) | PAGE_IN_CACHE | PAGE_EXISTS;
    this.#vm.tableSet(backing.pages, page, entry);
    return frame;
  }

  /** The backing with that id. */
  backing(id: number): Backing | undefined {
    return this.#backings[id];
  }

  /** mmap(): the mapping's first page number, or -errno. Anonymous memory comes populated where it was filled. */
  mmap(spec: MappingSpec): number {
    const backing = this.#backings[spec.backing];
    if (backing === undefined) return -EINVAL;
    const startHvn = this.#nextHvn;
    if (startHvn + backing.npages > 2 ** 31) return -ENOMEM;
    this.#nextHvn += backing.npages + MMAP_GAP;
    const mapping: Mapping = {
      startHvn,
      npages: backing.npages,
      shared: spec.shared && backing.kind !== 'anon',
      backing,
      ptes: this.#vm.allocTable(backing.npages),
      vmas: [{ start: 0, end: backing.npages, prot: spec.prot }],
    };
    if (backing.kind === 'anon') this.#populateAnon(mapping, spec.prot);
    this.#mappings.push(mapping);
    return startHvn;
  }

  /** The VMM filled anonymous memory through this very mapping before it protected it. */
  #populateAnon(mapping: Mapping, prot: number): void {
    const vm = this.#vm;
    for (let i = 0; i < mapping.npages; i++) {
      const page = vm.tableGet(mapping.backing.pages, i);
      if (page === 0) continue;
      const write = (prot & PROT_WRITE) !== 0 ? F_PTE_WRITE : 0;
      const frame = page >>> PAGE_FRAME_SHIFT;
      vm.tableSet(mapping.ptes, i, (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | write | PTE_PRIVATE);
    }
  }

  /** The mapping that covers a host page. */
  find(hvn: number): Mapping | undefined {
    // Addresses are handed out upwards, so the mappings lie in order.
    const all = this.#mappings;
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (all[middle]!.startHvn <= hvn) low = middle + 1;
      else high = middle;
    }
    const below = all[low - 1];
    return below !== undefined && hvn < below.startHvn + below.npages ? below : undefined;
  }

  /** munmap() of a whole mapping. */
  munmap(hvn: number): number {
    const at = this.#mappings.findIndex((m) => m.startHvn === hvn);
    const mapping = this.#mappings[at];
    if (mapping === undefined) return -EINVAL;
    this.#mappings.splice(at, 1);
    this.onInvalidate(hvn, mapping.npages);
    return 0;
  }

  /** mprotect(): splits VMAs where it must, takes write access from ptes, and tells the notifier. */
  mprotect(hvn: number, npages: number, prot: number): number {
    const mapping = this.find(hvn);
    if (mapping === undefined || hvn + npages > mapping.startHvn + mapping.npages) return -ENOMEM;
    const start = hvn - mapping.startHvn;
    const end = start + npages;
    const pieces: Vma[] = [];
    for (const v of mapping.vmas) {
      if (v.start < start) pieces.push({ ...v, end: Math.min(v.end, start) });
      if (v.end > end) pieces.push({ ...v, start: Math.max(v.start, end) });
    }
    pieces.push({ start, end, prot });
    mapping.vmas = mergeVmas(pieces.filter((v) => v.start < v.end));
    if ((prot & PROT_WRITE) === 0) this.#forPtes(mapping, start, end, (pte) => pte & ~F_PTE_WRITE);
    this.onInvalidate(hvn, npages);
    return 0;
  }

  /** madvise(MADV_DONTNEED): ptes go; anonymous pages and private copies are lost, the page cache stays. */
  dontneed(hvn: number, npages: number): number {
    const mapping = this.find(hvn);
    if (mapping === undefined || hvn + npages > mapping.startHvn + mapping.npages) return -ENOMEM;
    const start = hvn - mapping.startHvn;
    this.#forPtes(mapping, start, start + npages, () => 0);
    if (mapping.backing.kind === 'anon') {
      for (let i = start; i < start + npages; i++) this.#vm.tableSet(mapping.backing.pages, i, 0);
    }
    this.onInvalidate(hvn, npages);
    return 0;
  }

  /** madvise(MADV_PAGEOUT) of a range of a shared mapping: its pages leave memory, the next touch needs I/O. */
  pageOut(hvn: number, npages: number): number {
    const mapping = this.find(hvn);
    if (mapping === undefined || !mapping.shared || hvn + npages > mapping.startHvn + mapping.npages)
      return -ENOMEM;
    const start = hvn - mapping.startHvn;
    const { pages } = mapping.backing;
    for (let i = start; i < start + npages; i++)
      this.#vm.tableSet(pages, i, this.#vm.tableGet(pages, i) & ~PAGE_IN_CACHE);
    this.#forPtes(mapping, start, start + npages, () => 0);
    this.onInvalidate(hvn, npages);
    return 0;
  }

  #forPtes(mapping: Mapping, start: number, end: number, change: (pte: number) => number): void {
    for (let i = start; i < end; i++) {
      const pte = this.#vm.tableGet(mapping.ptes, i);
      if (pte !== 0) this.#vm.tableSet(mapping.ptes, i, change(pte));
    }
  }

  /**
   * The backing's pages leave memory: out of the page cache, or out to swap. Only what can be read back goes:
   * a file's pages to its disk, anonymous and shared memory to swap.
   */
  dropPageCache(id: number): number {
    const backing = this.#backings[id];
    if (backing === undefined) return -EINVAL;
    const vm = this.#vm;
    for (let i = 0; i < backing.npages; i++) {
      const page = vm.tableGet(backing.pages, i);
      if (page !== 0) vm.tableSet(backing.pages, i, page & ~PAGE_IN_CACHE);
    }
    for (const m of this.#mappings) {
      if (m.backing !== backing) continue;
      // A private copy of a file's page is not in the page cache and stays.
      const keeps = (pte: number): boolean => backing.kind !== 'anon' && (pte & PTE_PRIVATE) !== 0;
      this.#forPtes(m, 0, m.npages, (pte) => (keeps(pte) ? pte : 0));
      this.onInvalidate(m.startHvn, m.npages);
    }
    return 0;
  }

  /** mincore() over a mapping: pages in memory, whether mapped here or not. */
  residentPages(hvn: number): number {
    const mapping = this.find(hvn);
    if (mapping === undefined) return -ENOMEM;
    let resident = 0;
    for (let i = 0; i < mapping.npages; i++) {
      const mapped = this.#vm.tableGet(mapping.ptes, i) !== 0;
      const cached = mapping.backing.kind !== 'anon' && this.#inCache(mapping.backing, i);
      if (mapped || cached) resident++;
    }
    return resident;
  }

  #inCache(backing: Backing, page: number): boolean {
    return (this.#vm.tableGet(backing.pages, page) & PAGE_IN_CACHE) !== 0;
  }

  /** Protection of a page of a mapping. */
  protAt(mapping: Mapping, page: number): number {
    for (const v of mapping.vmas) if (page >= v.start && page < v.end) return v.prot;
    return 0;
  }

  /** VMA facts that hold for every page from `page` on, or -1 if the pages differ. */
  uniformFacts(mapping: Mapping, page: number, npages: number): number {
    const vma = mapping.vmas.find((v) => page >= v.start && page + npages <= v.end);
    return vma === undefined ? -1 : this.#vmaFacts(mapping, vma.prot);
  }

  #vmaFacts(mapping: Mapping, prot: number): number {
    const read = (prot & PROT_READ) !== 0;
    const write = read && (prot & PROT_WRITE) !== 0;
    // A file's shared pages are write-notified (the filesystem must learn of the first store); a memfd's are not.
    const mkwrite = write && mapping.shared && mapping.backing.kind === 'shm';
    return F_VMA | (read ? F_VM_READ : 0) | (write ? F_VM_WRITE : 0) | (mkwrite ? F_MKWRITE : 0);
  }

  /** Residency facts of a page that has no pte: does touching it need I/O, or is it past the end? */
  absentFacts(mapping: Mapping, page: number): number {
    const { backing } = mapping;
    if (backing.kind === 'file' && page * PAGE_SIZE >= backing.bytes) return F_SIGBUS;
    const entry = this.#vm.tableGet(backing.pages, page);
    return (entry & PAGE_EXISTS) !== 0 && (entry & PAGE_IN_CACHE) === 0 ? F_COLD : 0;
  }

  /** All host facts of a page, the long way: for slots whose pages differ. */
  facts(hvn: number): number {
    const mapping = this.find(hvn);
    if (mapping === undefined) return 0;
    const page = hvn - mapping.startHvn;
    const vma = this.#vmaFacts(mapping, this.protAt(mapping, page));
    if ((vma & F_VM_READ) === 0) return vma;
    const pte = this.#vm.tableGet(mapping.ptes, page);
    return vma | (pte !== 0 ? pte & PTE_FACTS : this.absentFacts(mapping, page));
  }

  /**
   * A host page fault that the VMA allows: handle_mm_fault(). Leaves a pte and returns it; `lastFault` says
   * what it took. The caller has checked the VMA and that the page exists.
   */
  faultIn(mapping: Mapping, page: number, write: boolean): number {
    const vm = this.#vm;
    const old = vm.tableGet(mapping.ptes, page);
    this.lastFault = HOST_NOTHING;
    if (old !== 0 && (!write || (old & F_PTE_WRITE) !== 0)) return old;
    const pte = mapping.shared
      ? this.#faultShared(mapping, page, write)
      : this.#faultPrivate(mapping, page, write, old);
    vm.tableSet(mapping.ptes, page, pte);
    // Another frame behind the same address: stage-2 entries of the old one must go (set_pte_at_notify()).
    if (old !== 0 && old >>> PTE_FRAME_SHIFT !== pte >>> PTE_FRAME_SHIFT)
      this.onInvalidate(mapping.startHvn + page, 1);
    // The same frame with more rights: refusals that were remembered hold no longer.
    else if (old !== 0) vm.flushTlb();
    return pte;
  }

  #faultShared(mapping: Mapping, page: number, write: boolean): number {
    const frame = this.#pageIn(mapping.backing, page);
    const facts = this.#vmaFacts(mapping, this.protAt(mapping, page));
    const writable = write || (facts & F_MKWRITE) !== 0;
    if (!write) this.#faultAround(mapping, page, writable ? F_PTE_WRITE : 0);
    return (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | (writable ? F_PTE_WRITE : 0);
  }

  #faultPrivate(mapping: Mapping, page: number, write: boolean, old: number): number {
    const vm = this.#vm;
    if ((old & PTE_PRIVATE) !== 0) return old | F_PTE_WRITE;
    const anon = mapping.backing.kind === 'anon';
    const swapped = anon && (this.absentFacts(mapping, page) & F_COLD) !== 0 && old === 0;
    if (swapped) {
      const frame = this.#pageIn(mapping.backing, page);
      return (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | (write ? F_PTE_WRITE : 0) | PTE_PRIVATE;
    }
    // Reading anonymous memory that was never written maps the zero page, frame 0.
    const source = anon ? 0 : this.#pageIn(mapping.backing, page);
    if (!write) {
      if (!anon) this.#faultAround(mapping, page, 0);
      this.lastFault |= HOST_MINOR;
      return (source << PTE_FRAME_SHIFT) | F_PTE_PRESENT;
    }
    const frame = anon ? this.#newPage(mapping.backing, page) : vm.allocFrame();
    vm.mem.copyWithin(frame << PAGE_SHIFT, source << PAGE_SHIFT, (source + 1) << PAGE_SHIFT);
    this.lastFault |= HOST_COW;
    return (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | F_PTE_WRITE | PTE_PRIVATE;
  }

  /** Gets a backing's page into the page cache: from the disk, or as a fresh zero page of a memfd. */
  #pageIn(backing: Backing, page: number): number {
    const entry = this.#vm.tableGet(backing.pages, page);
    this.lastFault |= HOST_MINOR;
    if (entry === 0) return this.#newPage(backing, page);
    if ((entry & PAGE_IN_CACHE) === 0) {
      this.lastFault |= HOST_IO;
      this.#vm.tableSet(backing.pages, page, entry | PAGE_IN_CACHE);
    }
    return entry >>> PAGE_FRAME_SHIFT;
  }

  /** A read that was begun is done: the page is in memory, mapped nowhere yet. */
  completeRead(hvn: number): void {
    const mapping = this.find(hvn);
    if (mapping === undefined) return;
    const page = hvn - mapping.startHvn;
    if ((this.absentFacts(mapping, page) & F_COLD) !== 0) this.#pageIn(mapping.backing, page);
  }

  /** do_fault_around(): a read fault also maps its neighbours that are in the page cache. */
  #faultAround(mapping: Mapping, page: number, write: number): void {
    const vm = this.#vm;
    // The window is aligned in the VMM's address space, not in the mapping.
    const window = ((mapping.startHvn + page) & ~(FAULT_AROUND_PAGES - 1)) - mapping.startHvn;
    const last = Math.min(window + FAULT_AROUND_PAGES, mapping.npages);
    for (let i = Math.max(0, window); i < last; i++) {
      if (i === page || !this.#inCache(mapping.backing, i) || vm.tableGet(mapping.ptes, i) !== 0) continue;
      if (this.protAt(mapping, i) !== this.protAt(mapping, page)) continue;
      const frame = vm.tableGet(mapping.backing.pages, i) >>> PAGE_FRAME_SHIFT;
      vm.tableSet(mapping.ptes, i, (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | write);
      vm.count(STEP_INDEX['host-map']);
    }
  }

  /**
   * The kernel touches user memory on the VMM's behalf (copy_from_user() and copy_to_user()): the frame, or
   * -1 where the access is refused. Faults are served and waited for.
   */
  userFrame(hvn: number, write: boolean): number {
    const facts = this.facts(hvn);
    const need = write ? F_VM_READ | F_VM_WRITE : F_VM_READ;
    const mapping = this.find(hvn);
    if (mapping === undefined || (facts & need) !== need || (facts & F_SIGBUS) !== 0) {
      this.#vm.count(STEP_INDEX['host-fault']);
      return -1;
    }
    const pte = this.faultIn(mapping, hvn - mapping.startHvn, write);
    if (this.lastFault !== HOST_NOTHING) this.#vm.count(STEP_INDEX['host-fault']);
    if ((this.lastFault & HOST_IO) !== 0) this.#vm.count(STEP_INDEX['host-io']);
    return pte >>> PTE_FRAME_SHIFT;
  }

  /** The VMM's alias: the frame of a backing's page, read in or made as needed. */
  aliasFrame(id: number, page: number): number {
    const backing = this.#backings[id];
    if (backing === undefined || page >= backing.npages) return -1;
    if (backing.kind === 'anon') {
      const mapping = this.#mappings.find((m) => m.backing === backing);
      if (mapping !== undefined) return this.#anonAlias(mapping, page);
    }
    return this.#pageIn(backing, page);
  }

  /** Anonymous memory has no second mapping: its VMM writes before it protects, so the pte's rights stay. */
  #anonAlias(mapping: Mapping, page: number): number {
    const pte = this.faultIn(mapping, page, true);
    const writable = (this.protAt(mapping, page) & PROT_WRITE) !== 0;
    if (!writable) this.#vm.tableSet(mapping.ptes, page, pte & ~F_PTE_WRITE);
    return pte >>> PTE_FRAME_SHIFT;
  }

  /** What the VMM would read there, without touching anything: frame 0 where no page is. */
  peekFrame(id: number, page: number): number {
    const backing = this.#backings[id];
    return backing === undefined ? 0 : this.#vm.tableGet(backing.pages, page) >>> PAGE_FRAME_SHIFT;
  }

  /** How many backings there are; ids count from 0. */
  get backings(): number {
    return this.#backings.length;
  }
}

/** Sorts VMAs and joins neighbours of equal protection, as vma_merge() does. */
function mergeVmas(vmas: Vma[]): Vma[] {
  const sorted = vmas.toSorted((a, b) => a.start - b.start);
  const merged: Vma[] = [];
  for (const v of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && last.end === v.start && last.prot === v.prot) last.end = v.end;
    else merged.push({ ...v });
  }
  return merged;
}
