/** 4-level page tables that map the lowest 4 MiB to themselves, for guests that need paging. */
import { PAGE_SIZE } from '../../engine/abi.ts';

const PRESENT_WRITABLE = 0x3;
const ACCESSED = 0x20;
const DIRTY = 0x40;
const ENTRIES = 512;
/** Pages the tables take: PML4, PDPT, page directory, two page tables. */
export const TABLE_PAGES = 5;

/** The tables as bytes, to be placed at `base`; entries with accessed and dirty bits set if `used`. */
export function identityTables(base: number, used: boolean): Uint8Array {
  const bytes = new Uint8Array(TABLE_PAGES * PAGE_SIZE);
  const view = new DataView(bytes.buffer);
  const flags = PRESENT_WRITABLE | (used ? ACCESSED : 0);
  const table = (page: number): number => base + page * PAGE_SIZE;
  const enter = (page: number, index: number, address: number, bits: number): void =>
    view.setBigUint64(page * PAGE_SIZE + index * 8, BigInt(address) | BigInt(bits), true);
  enter(0, 0, table(1), flags);
  enter(1, 0, table(2), flags);
  for (const half of [0, 1]) {
    enter(2, half, table(3 + half), flags);
    for (let i = 0; i < ENTRIES; i++) {
      enter(3 + half, i, (half * ENTRIES + i) * PAGE_SIZE, flags | (used ? DIRTY : 0));
    }
  }
  return bytes;
}
