/** 4-level page tables that map low memory to itself, for guests that need paging. */
import { PAGE_SIZE } from '../../engine/abi.ts';

const PRESENT_WRITABLE = 0x3;
const ACCESSED = 0x20;
const DIRTY = 0x40;
const LARGE = 0x80;
const ENTRIES = 512;
/** What one page table maps, and what one page directory does. */
const TWO_MIB = ENTRIES * PAGE_SIZE;
const ONE_GIB = ENTRIES * TWO_MIB;

/** What `identityTables()` may be asked for. */
export interface TableOptions {
  /** Accessed and dirty bits are set. */
  readonly used: boolean;
  /** Pages of 2 MiB instead of 4 KiB. */
  readonly large?: boolean;
  /** Start of each stretch of 2 MiB that is mapped; the lowest 4 MiB when absent. */
  readonly stretches?: readonly number[];
}

/**
 * The tables as bytes, to be placed at `base`: PML4, PDPT, a page directory for each GiB in the order of the stretches,
 * and, unless pages are large, a page table for each stretch.
 */
export function identityTables(base: number, options: TableOptions): Uint8Array {
  const { used, large = false, stretches = [0, TWO_MIB] } = options;
  const gigabytes = [...new Set(stretches.map((at) => Math.floor(at / ONE_GIB)))];
  const firstPageTable = 2 + gigabytes.length;
  const bytes = new Uint8Array((firstPageTable + (large ? 0 : stretches.length)) * PAGE_SIZE);
  const view = new DataView(bytes.buffer);
  const flags = PRESENT_WRITABLE | (used ? ACCESSED : 0);
  const leaf = flags | (used ? DIRTY : 0);
  const table = (page: number): number => base + page * PAGE_SIZE;
  const enter = (page: number, index: number, address: number, bits: number): void =>
    view.setBigUint64(page * PAGE_SIZE + index * 8, BigInt(address) | BigInt(bits), true);
  enter(0, 0, table(1), flags);
  for (const [i, gib] of gigabytes.entries()) enter(1, gib, table(2 + i), flags);
  for (const [i, at] of stretches.entries()) {
    const directory = 2 + gigabytes.indexOf(Math.floor(at / ONE_GIB));
    const index = Math.floor((at % ONE_GIB) / TWO_MIB);
    if (large) enter(directory, index, at, leaf | LARGE);
    else enter(directory, index, table(firstPageTable + i), flags);
    for (let k = 0; k < ENTRIES && !large; k++) enter(firstPageTable + i, k, at + k * PAGE_SIZE, leaf);
  }
  return bytes;
}
