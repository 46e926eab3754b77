/**
 * Host page faults: handle_mm_fault() in outline, with copy on write, the zero page, fault-around and reads from
 * the disk. Who may fault is decided elsewhere; here it is done.
 */
import { PAGE_SHIFT, PAGE_SIZE, PROT_WRITE } from '../../abi.ts';
import { F_COLD, F_MKWRITE, F_PTE_PRESENT, F_PTE_WRITE } from '../../facts.ts';
import type { Userfault } from '../../observation.ts';
import { STEP_INDEX } from '../../steps.ts';
import type { Vm } from '../vm.ts';
import {
  absentFacts,
  type Backing,
  HUGE_PAGES,
  type Mapping,
  mapsHuge,
  PAGE_EXISTS,
  PAGE_FRAME_SHIFT,
  PAGE_IN_CACHE,
  PTE_FRAME_SHIFT,
  PTE_PRIVATE,
  pmdStart,
  protAt,
  setHuge,
  vmaFacts,
} from './mapping.ts';

/** Pages a read fault maps at once where they are in memory (`fault_around_bytes`, 64 KiB). */
const FAULT_AROUND_PAGES = 16;
/** Entries of a page table: no window goes beyond one. */
const PTRS_PER_PTE = 512;

/** What a host fault did: nothing, the page was mapped already. */
export const HOST_NOTHING = 0;
/** A page in memory was mapped. */
export const HOST_MINOR = 1;
/** A private copy was made. */
export const HOST_COW = 2;
/** The page was read from the disk. */
export const HOST_IO = 4;

/** Serves the host page faults of one VMM. */
export class HostFaults {
  readonly #vm: Vm;
  /** Another frame came to stand behind a host page (set_pte_at_notify()). */
  readonly #onMoved: (hvn: number, npages: number) => void;
  /** HOST_* of the last fault served. */
  lastFault = HOST_NOTHING;
  /** Faults that a userfaultfd handler was told of. */
  readonly userfaults: Userfault[] = [];
  /** A handler took longer than the VMM's patience: a signal waits for KVM_RUN to come back. */
  signalPending = false;

  constructor(vm: Vm, onMoved: (hvn: number, npages: number) => void) {
    this.#vm = vm;
    this.#onMoved = onMoved;
  }

  /** Makes a backing's page, zeroed and in the page cache. */
  newPage(backing: Backing, page: number): number {
    const frame = this.#vm.allocFrame();
    const entry = (frame << PAGE_FRAME_SHIFT) | PAGE_IN_CACHE | PAGE_EXISTS;
    this.#vm.tableSet(backing.pages, page, entry);
    return frame;
  }

  /** Is the page in the page cache? */
  inCache(backing: Backing, page: number): boolean {
    return (this.#vm.tableGet(backing.pages, page) & PAGE_IN_CACHE) !== 0;
  }

  /**
   * A fault that the VMA allows. Leaves a pte and returns it; `lastFault` says what it took. The caller has
   * checked the VMA and that the page exists.
   */
  faultIn(mapping: Mapping, page: number, write: boolean): number {
    const vm = this.#vm;
    const old = vm.tableGet(mapping.ptes, page);
    this.lastFault = HOST_NOTHING;
    if (old !== 0 && (!write || (old & F_PTE_WRITE) !== 0)) return old;
    if (mapping.backing.kind === 'hugetlb') return this.#faultHuge(mapping, page, write);
    if (old === 0 && this.#mayBeHuge(mapping, page)) return this.#faultTransparent(mapping, page, write);
    // A write to a huge page that is not this mapping's alone is served a small page at a time.
    if (old !== 0 && (old & PTE_PRIVATE) === 0) setHuge(mapping, page, false);
    else if (mapsHuge(mapping, page)) return this.#makeWritable(mapping, pmdStart(mapping, page), page);
    const pte = mapping.shared
      ? this.#faultShared(mapping, page, write)
      : this.#faultPrivate(mapping, page, write, old);
    vm.tableSet(mapping.ptes, page, pte);
    // Another frame behind the same address: stage-2 entries of the old one must go (set_pte_at_notify()).
    if (old !== 0 && old >>> PTE_FRAME_SHIFT !== pte >>> PTE_FRAME_SHIFT)
      this.#onMoved(mapping.startHvn + page, 1);
    // The same frame with more rights: refusals that were remembered hold no longer.
    else if (old !== 0) vm.flushTlb();
    return pte;
  }

  /** A hugetlb fault: 512 pages at once, from the page cache, or copied for a private mapping (hugetlb_wp()). */
  #faultHuge(mapping: Mapping, page: number, write: boolean): number {
    const { backing, shared, ptes } = mapping;
    const vm = this.#vm;
    const start = pmdStart(mapping, page);
    const old = vm.tableGet(ptes, page);
    this.lastFault |= HOST_MINOR;
    if ((old & PTE_PRIVATE) !== 0) return this.#makeWritable(mapping, start, page);
    const copy = write && !shared;
    const bits = F_PTE_PRESENT | (write || (shared && this.#mayWrite(mapping, page)) ? F_PTE_WRITE : 0);
    for (let i = start; i < start + HUGE_PAGES; i++) {
      const frame = this.pageIn(backing, i);
      const own = copy ? this.#copyOf(frame) : frame;
      vm.tableSet(ptes, i, (own << PTE_FRAME_SHIFT) | bits | (copy ? PTE_PRIVATE : 0));
    }
    setHuge(mapping, page, true);
    // The copy is made under the notifier, whether or not the page was mapped before.
    if (copy) this.#copied(mapping, start, HUGE_PAGES);
    else if (old !== 0) vm.flushTlb();
    return vm.tableGet(ptes, page);
  }

  #mayWrite(mapping: Mapping, page: number): boolean {
    return (protAt(mapping, page) & PROT_WRITE) !== 0;
  }

  /** Pages of a huge page that the mapping owns alone: a fault for write only sets the bit. */
  #makeWritable(mapping: Mapping, start: number, page: number): number {
    const vm = this.#vm;
    for (let i = start; i < start + HUGE_PAGES; i++)
      vm.tableSet(mapping.ptes, i, vm.tableGet(mapping.ptes, i) | F_PTE_WRITE);
    vm.flushTlb();
    this.lastFault |= HOST_MINOR;
    return vm.tableGet(mapping.ptes, page);
  }

  /** transhuge_vma_suitable(), and nothing of the stretch is mapped yet. */
  #mayBeHuge(mapping: Mapping, page: number): boolean {
    if (mapping.pmds === undefined) return false;
    const start = pmdStart(mapping, page);
    const vma = mapping.vmas.find((v) => page >= v.start && page < v.end);
    if (vma === undefined || start < vma.start || start + HUGE_PAGES > vma.end) return false;
    for (let i = start; i < start + HUGE_PAGES; i++)
      if (this.#vm.tableGet(mapping.ptes, i) !== 0) return false;
    return true;
  }

  /** do_huge_pmd_anonymous_page(): a huge page of zeros, or for a read the huge zero page. */
  #faultTransparent(mapping: Mapping, page: number, write: boolean): number {
    const vm = this.#vm;
    const start = pmdStart(mapping, page);
    const bits = write ? F_PTE_PRESENT | F_PTE_WRITE | PTE_PRIVATE : F_PTE_PRESENT;
    for (let i = start; i < start + HUGE_PAGES; i++) {
      const frame = write ? this.newPage(mapping.backing, i) : 0;
      vm.tableSet(mapping.ptes, i, (frame << PTE_FRAME_SHIFT) | bits);
    }
    setHuge(mapping, page, true);
    this.lastFault |= HOST_MINOR;
    return vm.tableGet(mapping.ptes, page);
  }

  /** A private copy of a page. */
  #copyOf(source: number): number {
    const frame = this.#vm.allocFrame();
    this.#vm.mem.copyWithin(frame << PAGE_SHIFT, source << PAGE_SHIFT, (source + 1) << PAGE_SHIFT);
    return frame;
  }

  #copied(mapping: Mapping, page: number, npages: number): void {
    this.lastFault |= HOST_COW;
    this.#vm.count(STEP_INDEX['host-cow']);
    this.#onMoved(mapping.startHvn + page, npages);
  }

  #faultShared(mapping: Mapping, page: number, write: boolean): number {
    const frame = this.pageIn(mapping.backing, page);
    const facts = vmaFacts(mapping, protAt(mapping, page));
    const writable = write || (facts & F_MKWRITE) !== 0;
    if (!write) this.#faultAround(mapping, page, writable ? F_PTE_WRITE : 0);
    return (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | (writable ? F_PTE_WRITE : 0);
  }

  #faultPrivate(mapping: Mapping, page: number, write: boolean, old: number): number {
    const vm = this.#vm;
    if ((old & PTE_PRIVATE) !== 0) return old | F_PTE_WRITE;
    const anon = mapping.backing.kind === 'anon';
    const away = anon && (absentFacts(vm, mapping, page) & F_COLD) !== 0 && old === 0;
    if (away) {
      const frame = this.#fromHandler(mapping, page, write) ?? this.pageIn(mapping.backing, page);
      const writable = write || (vmaFacts(mapping, protAt(mapping, page)) & F_MKWRITE) !== 0;
      return (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | (writable ? F_PTE_WRITE : 0) | PTE_PRIVATE;
    }
    // Reading anonymous memory that was never written maps the zero page, frame 0.
    const source = anon ? 0 : this.pageIn(mapping.backing, page);
    if (!write) {
      if (!anon) this.#faultAround(mapping, page, 0);
      this.lastFault |= HOST_MINOR;
      return (source << PTE_FRAME_SHIFT) | F_PTE_PRESENT;
    }
    const frame = anon ? this.newPage(mapping.backing, page) : this.#copyOf(source);
    this.lastFault |= HOST_COW;
    vm.count(STEP_INDEX['host-cow']);
    return (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | F_PTE_WRITE | PTE_PRIVATE;
  }

  /**
   * handle_userfault(): the handler hears of a missing page, and whoever touched it waits until it has copied its own
   * (UFFDIO_COPY). Undefined where there is no handler.
   */
  #fromHandler({ backing }: Mapping, page: number, write: boolean): number | undefined {
    if (backing.userfaultfd === undefined) return undefined;
    this.userfaults.push({ backing: backing.id, offset: page * PAGE_SIZE, write });
    if (backing.userfaultfd === 'slow') this.signalPending = true;
    this.lastFault |= HOST_MINOR;
    return this.#copyOf(this.#vm.tableGet(backing.pages, page) >>> PAGE_FRAME_SHIFT);
  }

  /** Gets a backing's page into the page cache: from the disk, or as a fresh zero page of a memfd. */
  pageIn(backing: Backing, page: number): number {
    const entry = this.#vm.tableGet(backing.pages, page);
    this.lastFault |= HOST_MINOR;
    if (entry === 0) return this.newPage(backing, page);
    if ((entry & PAGE_IN_CACHE) === 0) {
      this.lastFault |= HOST_IO;
      // The other kinds' read follows from the fault word (F_COLD); this one nobody is sent away for.
      if (backing.kind === 'shm') this.#vm.count(STEP_INDEX['host-io']);
      this.#vm.tableSet(backing.pages, page, entry | PAGE_IN_CACHE);
    }
    return entry >>> PAGE_FRAME_SHIFT;
  }

  /**
   * do_fault_around(): a read fault also maps its neighbours that are in the page cache. The window is aligned in the
   * VMM's address space, begins no earlier than the VMA, and ends with it, with the page table, or when it is full.
   */
  #faultAround(mapping: Mapping, page: number, write: number): void {
    const vm = this.#vm;
    const { startHvn } = mapping;
    const vma = mapping.vmas.find((v) => page >= v.start && page < v.end);
    if (vma === undefined) return;
    const window = ((startHvn + page) & ~(FAULT_AROUND_PAGES - 1)) - startHvn;
    const first = Math.max(vma.start, window);
    const tableEnd = ((startHvn + first) | (PTRS_PER_PTE - 1)) + 1 - startHvn;
    const end = Math.min(first + FAULT_AROUND_PAGES, vma.end, tableEnd);
    for (let i = first; i < end; i++) {
      if (i === page || !this.inCache(mapping.backing, i) || vm.tableGet(mapping.ptes, i) !== 0) continue;
      const frame = vm.tableGet(mapping.backing.pages, i) >>> PAGE_FRAME_SHIFT;
      vm.tableSet(mapping.ptes, i, (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | write);
      vm.count(STEP_INDEX['host-map']);
    }
  }
}
