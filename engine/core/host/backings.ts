/** Memory as it is made: backing objects and what is in them, mappings and what is mapped from the start. */
import { PAGE_SHIFT, PAGE_SIZE, PROT_WRITE } from '../../abi.ts';
import { F_PTE_PRESENT, F_PTE_WRITE } from '../../facts.ts';
import type { BackingSpec, MappingSpec } from '../../machine.ts';
import type { Vm } from '../vm.ts';
import type { HostFaults } from './host-fault.ts';
import {
  type Backing,
  HUGE_PAGES,
  type Mapping,
  mapsHuge,
  newPmds,
  PAGE_EXISTS,
  PAGE_FRAME_SHIFT,
  PAGE_IN_CACHE,
  PTE_FRAME_SHIFT,
  PTE_PRIVATE,
  pmdStart,
  setHuge,
} from './mapping.ts';

/** Makes a backing object, filled. */
export function newBacking(vm: Vm, faults: HostFaults, id: number, spec: BackingSpec): Backing {
  const npages = Math.ceil(spec.bytes / PAGE_SIZE);
  const backing = { ...spec, id, npages, pages: vm.allocTable(npages) };
  const fill = spec.fill ?? 0;
  const handled = spec.userfaultfd !== undefined;
  if (fill === 0 && !handled && spec.kind !== 'file' && spec.kind !== 'pfnmap') return backing;
  for (let i = 0; i < npages; i++) {
    const frame = faults.newPage(backing, i);
    if (fill !== 0) vm.mem.fill(fill, frame << PAGE_SHIFT, (frame + 1) << PAGE_SHIFT);
    // A userfaultfd handler has it.
    if (handled) leaveMemory(vm, backing, i);
  }
  return backing;
}

/** A page leaves memory; somebody has it still. */
export function leaveMemory(vm: Vm, { pages }: Backing, page: number): void {
  vm.tableSet(pages, page, vm.tableGet(pages, page) & ~PAGE_IN_CACHE);
}

/** The first page number from `hvn` on that lies `rest` pages into a huge page. */
export const nextAt = (hvn: number, rest: number): number => {
  const at = hvn - (hvn % HUGE_PAGES) + (rest % HUGE_PAGES);
  return at < hvn ? at + HUGE_PAGES : at;
};

/** Maps a backing: anonymous memory comes populated where it was filled, a driver's entirely. */
export function newMapping(vm: Vm, backing: Backing, startHvn: number, spec: MappingSpec): Mapping {
  const mapping: Mapping = {
    startHvn,
    npages: backing.npages,
    shared: spec.shared && backing.kind !== 'anon',
    backing,
    ptes: vm.allocTable(backing.npages),
    vmas: [{ start: 0, end: backing.npages, prot: spec.prot }],
    pmds: newPmds(backing, startHvn),
  };
  if (backing.kind === 'anon' && backing.userfaultfd === undefined) populateAnon(vm, mapping, spec.prot);
  if (backing.kind === 'pfnmap') populate(vm, mapping, spec.prot, 0);
  return mapping;
}

/** The VMM filled anonymous memory through this very mapping before it protected it; where a huge page fits, one was taken. */
function populateAnon(vm: Vm, mapping: Mapping, prot: number): void {
  populate(vm, mapping, prot, PTE_PRIVATE);
  if ((vm.tableGet(mapping.backing.pages, 0) & PAGE_EXISTS) === 0) return;
  for (let page = 0; page < mapping.npages; page += HUGE_PAGES) {
    const start = pmdStart(mapping, page + HUGE_PAGES - 1);
    if (start >= 0 && start + HUGE_PAGES <= mapping.npages) setHuge(mapping, start, true);
  }
}

/** Every page that there is gets its pte. */
function populate(vm: Vm, mapping: Mapping, prot: number, bits: number): void {
  const write = (prot & PROT_WRITE) !== 0 ? F_PTE_WRITE : 0;
  for (let i = 0; i < mapping.npages; i++) {
    const page = vm.tableGet(mapping.backing.pages, i);
    if (page === 0) continue;
    const frame = page >>> PAGE_FRAME_SHIFT;
    vm.tableSet(mapping.ptes, i, (frame << PTE_FRAME_SHIFT) | F_PTE_PRESENT | write | bits);
  }
}

/**
 * change_pte_range(): write access goes with PROT_WRITE, and comes back with it where no fault is needed to allow
 * it: shared memory without write-notify, and small pages that the mapping owns alone (MM_CP_TRY_CHANGE_WRITABLE;
 * change_huge_pmd() and hugetlb leave that to the fault).
 */
export function reprotect(mapping: Mapping, pte: number, prot: number, page: number): number {
  if ((prot & PROT_WRITE) === 0) return pte & ~F_PTE_WRITE;
  const atOnce = mapping.shared
    ? mapping.backing.kind !== 'file'
    : (pte & PTE_PRIVATE) !== 0 && !mapsHuge(mapping, page);
  return atOnce ? pte | F_PTE_WRITE : pte;
}
