/**
 * The index over gfn: from a guest frame to its slot and its stage-2 entry in three loads, however many slots
 * there are. One table of 1 GiB regions, one of 2 MiB regions each; memory is taken where something is.
 */
import { GFN_LIMIT } from '../../../abi.ts';
import { TOP, type Vm } from '../../vm.ts';

/**
 * The record of a 2 MiB region, made if need be: [leaf of stage-2 entries or 0, slot]. The slot is a record
 * offset that holds for all 512 pages, 0 for none, or minus the offset of a map with one record a page.
 */
export function regionOf(vm: Vm, gfn: number): number {
  let mid = vm.h[TOP + (gfn >>> 18)]!;
  if (mid === 0) {
    mid = vm.alloc(1024);
    vm.h[TOP + (gfn >>> 18)] = mid;
  }
  return mid + ((gfn >>> 9) & 511) * 2;
}

/** gfn_to_memslot(): the slot's record offset, or 0. */
export function slotRecordOf(vm: Vm, gfn: number): number {
  const h = vm.h;
  const mid = h[TOP + (gfn >>> 18)]!;
  if (mid === 0) return 0;
  const s = h[mid + ((gfn >>> 9) & 511) * 2 + 1]!;
  return s >= 0 ? s : h[-s + (gfn & 511)]!;
}

/** Enters a slot's record for its frames (0: takes them out), 2 MiB at a time where it can. */
export function indexSlot(vm: Vm, baseGfn: number, npages: number, record: number): void {
  // Above what the processor can address a slot may be made, but never be reached.
  const end = Math.min(baseGfn + npages, GFN_LIMIT);
  for (let gfn = baseGfn; gfn < end; ) {
    const region = regionOf(vm, gfn);
    const last = Math.min(end, (gfn | 511) + 1);
    const whole = (gfn & 511) === 0 && last === gfn + 512;
    if (whole) vm.h[region + 1] = record;
    else indexPages(vm, region, gfn, last, record);
    gfn = last;
  }
}

function indexPages(vm: Vm, region: number, gfn: number, end: number, record: number): void {
  let entry = vm.h[region + 1]!;
  if (entry >= 0) {
    const map = vm.alloc(512);
    vm.h.fill(entry, map, map + 512);
    entry = -map;
    vm.h[region + 1] = entry;
  }
  vm.h.fill(record, -entry + (gfn & 511), -entry + (gfn & 511) + (end - gfn));
}
