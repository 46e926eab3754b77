/**
 * Host page faults: handle_mm_fault() in outline, with copy on write, the zero page, fault-around and reads from
 * the disk. Who may fault is decided elsewhere; here it is done.
 */
import { PAGE_SHIFT } from '../../abi.ts';
import { F_COLD, F_MKWRITE, F_PTE_PRESENT, F_PTE_WRITE } from '../../facts.ts';
import { STEP_INDEX } from '../../steps.ts';
import type { Vm } from '../vm.ts';
import {
  absentFacts,
  type Backing,
  type Mapping,
  PAGE_EXISTS,
  PAGE_FRAME_SHIFT,
  PAGE_IN_CACHE,
  PTE_FRAME_SHIFT,
  PTE_PRIVATE,
  protAt,
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
  readonly #onMoved: (hvn: number) => void;
  /** HOST_* of the last fault served. */
  lastFault = HOST_NOTHING;

  constructor(vm: Vm, onMoved: (hvn: number) => void) {
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
    const pte = mapping.shared
      ? this.#faultShared(mapping, page, write)
      : this.#faultPrivate(mapping, page, write, old);
    vm.tableSet(mapping.ptes, page, pte);
    // Another frame behind the same address: stage-2 entries of the old one must go (set_pte_at_notify()).
    if (old !== 0 && old >>> PTE_FRAME_SHIFT !== pte >>> PTE_FRAME_SHIFT)
      this.#onMoved(mapping.startHvn + page);
    // The same frame with more rights: refusals that were remembered hold no longer.
    else if (old !== 0) vm.flushTlb();
    return pte;
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
    const swapped = anon && (absentFacts(vm, mapping, page) & F_COLD) !== 0 && old === 0;
    if (swapped) {
      const frame = this.pageIn(mapping.backing, page);
      return (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | (write ? F_PTE_WRITE : 0) | PTE_PRIVATE;
    }
    // Reading anonymous memory that was never written maps the zero page, frame 0.
    const source = anon ? 0 : this.pageIn(mapping.backing, page);
    if (!write) {
      if (!anon) this.#faultAround(mapping, page, 0);
      this.lastFault |= HOST_MINOR;
      return (source << PTE_FRAME_SHIFT) | F_PTE_PRESENT;
    }
    const frame = anon ? this.newPage(mapping.backing, page) : vm.allocFrame();
    vm.mem.copyWithin(frame << PAGE_SHIFT, source << PAGE_SHIFT, (source + 1) << PAGE_SHIFT);
    this.lastFault |= HOST_COW;
    vm.count(STEP_INDEX['host-cow']);
    return (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | F_PTE_WRITE | PTE_PRIVATE;
  }

  /** Gets a backing's page into the page cache: from the disk, or as a fresh zero page of a memfd. */
  pageIn(backing: Backing, page: number): number {
    const entry = this.#vm.tableGet(backing.pages, page);
    this.lastFault |= HOST_MINOR;
    if (entry === 0) return this.newPage(backing, page);
    if ((entry & PAGE_IN_CACHE) === 0) {
      this.lastFault |= HOST_IO;
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
