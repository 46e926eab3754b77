/**
 * The VMM's address space: its system calls on memory, and what KVM reads of it. Facts about Linux's mm that
 * KVM's decisions depend on are in this room and nowhere else: who is resident, who is mapped writable, what
 * needs I/O, what copy on write makes of a store.
 */
import { EINVAL, ENOMEM, PAGE_SIZE, PROT_WRITE } from '../../abi.ts';
import { F_COLD, F_PFNMAP, F_PTE_WRITE, F_SIGBUS, F_VM_READ, F_VM_WRITE } from '../../facts.ts';
import { type BackingSpec, HUGE_PAGE_SIZE, type MappingSpec } from '../../machine.ts';
import { STEP_INDEX } from '../../steps.ts';
import type { Vm } from '../vm.ts';
import { leaveMemory, newBacking, newMapping, nextAt, reprotect } from './backings.ts';
import { HOST_IO, HOST_NOTHING, HostFaults } from './host-fault.ts';
import {
  absentFacts,
  type Backing,
  HUGE_PAGES,
  type Mapping,
  PAGE_FRAME_SHIFT,
  PAGE_IN_CACHE,
  PTE_FACTS,
  PTE_FRAME_SHIFT,
  PTE_PRIVATE,
  pmdStart,
  protAt,
  protect,
  setHuge,
  vmaFacts,
} from './mapping.ts';

/**
 * First host page number handed out by mmap(), and the gap left between mappings. As in a real process nothing
 * is aligned to more than a page, and a window of fault-around may begin or end inside a mapping. How a mapping of
 * the recording VMM lay shows in one recorded case (fuzz/1/301/real16/plain/rw-shm, shadow paging): its second
 * page began a window.
 */
export const MMAP_BASE = 0x100f;
export const MMAP_GAP = 16;

/** The VMM's memory. `onInvalidate` is the MMU notifier: pages of a host range changed or went. */
export class AddressSpace {
  readonly #vm: Vm;
  readonly #backings: Backing[] = [];
  readonly #mappings: Mapping[] = [];
  #nextHvn = MMAP_BASE;
  onInvalidate: (startHvn: number, npages: number) => void = () => {};
  /** Serves its page faults. */
  readonly faults: HostFaults;

  constructor(vm: Vm) {
    this.#vm = vm;
    this.faults = new HostFaults(vm, (hvn, npages) => this.onInvalidate(hvn, npages));
  }

  /** Makes a backing object, filled; returns its id. */
  createBacking(spec: BackingSpec): number {
    return this.#backings.push(newBacking(this.#vm, this.faults, this.#backings.length, spec)) - 1;
  }

  /** The backing with that id. */
  backing(id: number): Backing | undefined {
    return this.#backings[id];
  }

  /**
   * mmap(): the mapping's first page number, or -errno. Anonymous memory comes populated where it was filled, and a
   * driver's entirely. Huge pages of hugetlb want an address that is a multiple of theirs.
   */
  mmap(spec: MappingSpec): number {
    const backing = this.#backings[spec.backing];
    if (backing === undefined) return -EINVAL;
    const hugetlb = backing.kind === 'hugetlb';
    if (hugetlb && backing.bytes % HUGE_PAGE_SIZE !== 0) return -EINVAL;
    const offset = hugetlb ? 0 : spec.hugeOffset;
    const startHvn = offset === undefined ? this.#nextHvn : nextAt(this.#nextHvn, offset / PAGE_SIZE);
    if (startHvn + backing.npages > 2 ** 31) return -ENOMEM;
    this.#nextHvn = startHvn + backing.npages + MMAP_GAP;
    this.#mappings.push(newMapping(this.#vm, backing, startHvn, spec));
    return startHvn;
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
    if (mapping.backing.kind === 'hugetlb' && (start | end) % HUGE_PAGES !== 0) return -EINVAL;
    this.#splitAtEnds(mapping, start, end);
    // change_protection() does nothing where the VMA has these rights already, and then nobody is told.
    const same = mapping.vmas.some((v) => v.prot === prot && v.start <= start && end <= v.end);
    if (same) return 0;
    protect(mapping, start, end, prot);
    this.#forPtes(mapping, start, end, (pte, page) => reprotect(mapping, pte, prot, page));
    this.onInvalidate(hvn, npages);
    return 0;
  }

  /** madvise(MADV_DONTNEED): ptes go; anonymous pages and private copies are lost, the page cache stays. */
  dontneed(hvn: number, npages: number): number {
    const mapping = this.find(hvn);
    if (mapping === undefined || hvn + npages > mapping.startHvn + mapping.npages) return -ENOMEM;
    const { backing } = mapping;
    const start = hvn - mapping.startHvn;
    if (backing.kind === 'pfnmap' || (backing.kind === 'hugetlb' && start % HUGE_PAGES !== 0)) return -EINVAL;
    // Of a huge page that is only partly meant nothing goes (madvise_dontneed_free_valid_vma()).
    const end = backing.kind === 'hugetlb' ? start + npages - (npages % HUGE_PAGES) : start + npages;
    this.#splitAtEnds(mapping, start, end);
    this.#forPtes(mapping, start, end, () => 0);
    for (let i = start; i < end; i += HUGE_PAGES) setHuge(mapping, i, false);
    // What a userfaultfd handler has can be asked for again.
    if (backing.kind === 'anon' && backing.userfaultfd === undefined) {
      for (let i = start; i < end; i++) this.#vm.tableSet(backing.pages, i, 0);
    }
    this.onInvalidate(hvn, end - start);
    return 0;
  }

  /** __split_huge_pmd(): a transparent huge page that a call means only in part is mapped by ptes from now on. */
  #splitAtEnds(mapping: Mapping, start: number, end: number): void {
    for (const at of [start, end]) {
      if (at < mapping.npages && pmdStart(mapping, at) !== at) setHuge(mapping, at, false);
    }
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

  #forPtes(
    mapping: Mapping,
    start: number,
    end: number,
    change: (pte: number, page: number) => number,
  ): void {
    for (let i = start; i < end; i++) {
      const pte = this.#vm.tableGet(mapping.ptes, i);
      if (pte !== 0) this.#vm.tableSet(mapping.ptes, i, change(pte, i));
    }
  }

  /**
   * The backing's pages leave memory: out of the page cache, or out to swap. Only what can be read back goes:
   * a file's pages to its disk, anonymous and shared memory to swap.
   */
  dropPageCache(id: number): number {
    const backing = this.#backings[id];
    if (backing === undefined) return -EINVAL;
    // Neither is a page cache, nor is it ever swapped out.
    if (backing.kind === 'hugetlb' || backing.kind === 'pfnmap') return 0;
    for (let i = 0; i < backing.npages; i++) {
      if (this.#vm.tableGet(backing.pages, i) !== 0) leaveMemory(this.#vm, backing, i);
    }
    for (const m of this.#mappings) {
      if (m.backing !== backing) continue;
      // A private copy of a file's page is not in the page cache and stays.
      const keeps = (pte: number): boolean => backing.kind !== 'anon' && (pte & PTE_PRIVATE) !== 0;
      this.#forPtes(m, 0, m.npages, (pte) => (keeps(pte) ? pte : 0));
      m.pmds?.fill(0);
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
      const cached = mapping.backing.kind !== 'anon' && this.faults.inCache(mapping.backing, i);
      if (mapped || cached) resident++;
    }
    return resident;
  }

  /** All host facts of a page, the long way: for slots whose pages differ. */
  facts(hvn: number): number {
    const mapping = this.find(hvn);
    if (mapping === undefined) return 0;
    const page = hvn - mapping.startHvn;
    const vma = vmaFacts(mapping, protAt(mapping, page));
    if ((vma & (F_VM_READ | F_PFNMAP)) === 0) return vma;
    const pte = this.#vm.tableGet(mapping.ptes, page);
    return vma | (pte !== 0 ? pte & PTE_FACTS : absentFacts(this.#vm, mapping, page));
  }

  /** get_user_pages_remote() of a worker, for write: does nothing where the VMA forbids that. */
  workerFaultsIn(hvn: number): void {
    const facts = this.facts(hvn);
    const mapping = this.find(hvn);
    if (mapping === undefined || (facts & F_VM_WRITE) === 0 || (facts & F_SIGBUS) !== 0) return;
    this.faults.faultIn(mapping, hvn - mapping.startHvn, true);
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
    const pte = this.faults.faultIn(mapping, hvn - mapping.startHvn, write);
    if (this.faults.lastFault !== HOST_NOTHING) this.#vm.count(STEP_INDEX['host-fault']);
    if ((this.faults.lastFault & HOST_IO) !== 0 && (facts & F_COLD) !== 0)
      this.#vm.count(STEP_INDEX['host-io']);
    return pte >>> PTE_FRAME_SHIFT;
  }

  /** The VMM's alias: the frame of a backing's page, read in or made as needed. */
  aliasFrame(id: number, page: number): number {
    const backing = this.#backings[id];
    if (backing === undefined || page >= backing.npages) return -1;
    // Of pages with a userfaultfd handler the VMM's are the handler's.
    if (backing.userfaultfd !== undefined) return this.peekFrame(id, page);
    if (backing.kind === 'anon') {
      const mapping = this.#mappings.find((m) => m.backing === backing);
      if (mapping !== undefined) return this.#anonAlias(mapping, page);
    }
    return this.faults.pageIn(backing, page);
  }

  /** Anonymous memory has no second mapping: its VMM writes before it protects, so the pte's rights stay. */
  #anonAlias(mapping: Mapping, page: number): number {
    const pte = this.faults.faultIn(mapping, page, true);
    const writable = (protAt(mapping, page) & PROT_WRITE) !== 0;
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
