/**
 * The VMM's address space: its system calls on memory, and what KVM reads of it. Facts about Linux's mm that
 * KVM's decisions depend on are in this room and nowhere else: who is resident, who is mapped writable, what
 * needs I/O, what copy on write makes of a store.
 */
import { EINVAL, ENOMEM, PAGE_SHIFT, PAGE_SIZE, PROT_WRITE } from '../../abi.ts';
import { F_COLD, F_PTE_PRESENT, F_PTE_WRITE, F_SIGBUS, F_VM_READ, F_VM_WRITE } from '../../facts.ts';
import type { BackingSpec, MappingSpec } from '../../machine.ts';
import { STEP_INDEX } from '../../steps.ts';
import type { Vm } from '../vm.ts';
import { HOST_IO, HOST_NOTHING, HostFaults } from './host-fault.ts';
import {
  absentFacts,
  type Backing,
  type Mapping,
  PAGE_FRAME_SHIFT,
  PAGE_IN_CACHE,
  PTE_FACTS,
  PTE_FRAME_SHIFT,
  PTE_PRIVATE,
  protAt,
  protect,
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
    this.faults = new HostFaults(vm, (hvn) => this.onInvalidate(hvn, 1));
  }

  /** Makes a backing object, filled; returns its id. */
  createBacking(spec: BackingSpec): number {
    const npages = Math.ceil(spec.bytes / PAGE_SIZE);
    const backing = { kind: spec.kind, npages, bytes: spec.bytes, pages: this.#vm.allocTable(npages) };
    const fill = spec.fill ?? 0;
    if (fill !== 0 || spec.kind === 'file') {
      for (let i = 0; i < npages; i++) {
        const frame = this.faults.newPage(backing, i);
        if (fill !== 0) this.#vm.mem.fill(fill, frame << PAGE_SHIFT, (frame + 1) << PAGE_SHIFT);
      }
    }
    return this.#backings.push(backing) - 1;
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
    protect(mapping, start, end, prot);
    this.#forPtes(mapping, start, end, (pte) => reprotect(mapping, pte, prot));
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
    if ((vma & F_VM_READ) === 0) return vma;
    const pte = this.#vm.tableGet(mapping.ptes, page);
    return vma | (pte !== 0 ? pte & PTE_FACTS : absentFacts(this.#vm, mapping, page));
  }

  /** A read that was begun is done: the page is in memory, mapped nowhere yet. */
  completeRead(hvn: number): void {
    const mapping = this.find(hvn);
    if (mapping === undefined) return;
    const page = hvn - mapping.startHvn;
    if ((absentFacts(this.#vm, mapping, page) & F_COLD) !== 0) this.faults.pageIn(mapping.backing, page);
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
    if ((this.faults.lastFault & HOST_IO) !== 0) this.#vm.count(STEP_INDEX['host-io']);
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

/**
 * change_pte_range(): write access goes with PROT_WRITE, and comes back with it where no fault is needed to allow
 * it: shared memory without write-notify, and pages that the mapping owns alone (MM_CP_TRY_CHANGE_WRITABLE).
 */
function reprotect(mapping: Mapping, pte: number, prot: number): number {
  if ((prot & PROT_WRITE) === 0) return pte & ~F_PTE_WRITE;
  const atOnce = mapping.shared ? mapping.backing.kind === 'shm' : (pte & PTE_PRIVATE) !== 0;
  return atOnce ? pte | F_PTE_WRITE : pte;
}
