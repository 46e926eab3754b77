/**
 * Walks of the guest's own page tables (4-level, PAE long mode; 4 KiB, 2 MiB and 1 GiB pages).
 *
 * Two walkers read the same tables and differ where it matters: the processor reaches a table through stage 2
 * and always asks for write access to it (AMD nested paging), KVM's walker reads it through the VMM's mapping
 * and skips accessed and dirty bits it cannot store (walk_addr_generic(), commit ba6a35415455).
 */
import { GFN_LIMIT, PFERR_PRESENT, PFERR_RSVD, PFERR_WRITE } from '../../../abi.ts';
import { CR0_WP, type Regs } from '../../x86/regs.ts';

/** Guest page-table bits. */
const PT_PRESENT = 1 << 0;
const PT_WRITABLE = 1 << 1;
const PT_ACCESSED = 1 << 5;
const PT_DIRTY = 1 << 6;
const PT_PAGE_SIZE = 1 << 7;
/** High half of an entry: address bits above MAXPHYADDR, and NX (EFER.NXE is off here, so it is reserved too). */
const RESERVED_HIGH = 0x800fff00 | 0;
const ADDRESS_HIGH = 0xff;

/** How the guest means to use the address. */
export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
export const ACCESS_FETCH = 2;

/** How a walker reaches the tables. */
export interface TableAccess {
  /** Makes the entry's page reachable; its byte offset in the frames' memory, or -1. */
  entryAt(gpa: number): number;
  /** Says which bits of an entry that was read have to be set; false if that failed for good. */
  setBits(at: number, gpa: number, bits: number): boolean;
  readonly mem32: Int32Array;
}

/** Outcome of a walk. */
export const WALK_OK = 0;
/** The guest's tables refuse: `code` is the #PF error code. */
export const WALK_PAGE_FAULT = 1;
/** The tables themselves could not be reached: the access says why. */
export const WALK_UNREACHABLE = 2;

/** One walk's result; one record a walker, refilled. */
export class Walk {
  gpa = 0;
  /** #PF error code after WALK_PAGE_FAULT. */
  code = 0;
  /** Guest frames of the tables used, and how many (write_fault_to_shadow_pgtable needs them). */
  readonly tables = [0, 0, 0, 0];
  levels = 0;

  /** Translates a linear address below 2^48 (canonical, sign bits dropped). Returns WALK_*. */
  walk(regs: Regs, linear: number, access: number, via: TableAccess): number {
    let table = regs.cr3 - (regs.cr3 % 4096);
    let rights = PT_WRITABLE;
    this.levels = 0;
    for (let level = 4; level > 0; level--) {
      const size = 2 ** (12 + 9 * (level - 1));
      const entryGpa = table + (Math.floor(linear / size) & 511) * 8;
      this.tables[this.levels++] = Math.floor(table / 4096);
      const at = via.entryAt(entryGpa);
      if (at < 0) return WALK_UNREACHABLE;
      const low = via.mem32[at >> 2]!;
      const high = via.mem32[(at >> 2) + 1]!;
      if ((low & PT_PRESENT) === 0) return this.#fault(access, 0);
      if ((high & RESERVED_HIGH) !== 0 || (level === 4 && (low & PT_PAGE_SIZE) !== 0)) {
        return this.#fault(access, PFERR_PRESENT | PFERR_RSVD);
      }
      rights &= low;
      const address = (high & ADDRESS_HIGH) * 2 ** 32 + ((low & ~0xfff) >>> 0);
      const leaf = level === 1 || (level < 4 && (low & PT_PAGE_SIZE) !== 0);
      if (!leaf) {
        if ((low & PT_ACCESSED) === 0 && !via.setBits(at, entryGpa, PT_ACCESSED))
          return this.#fault(access, 0);
        table = address;
        continue;
      }
      if (address % size >= 0x2000) return this.#fault(access, PFERR_PRESENT | PFERR_RSVD);
      return this.#leaf(
        regs,
        { at, low, entryGpa, page: address - (address % size) },
        linear % size,
        access,
        rights,
        via,
      );
    }
    return WALK_UNREACHABLE;
  }

  #leaf(
    regs: Regs,
    entry: { at: number; low: number; entryGpa: number; page: number },
    offset: number,
    access: number,
    rights: number,
    via: TableAccess,
  ): number {
    const refused = access === ACCESS_WRITE && (rights & PT_WRITABLE) === 0 && (regs.cr0 & CR0_WP) !== 0;
    if (refused) return this.#fault(access, PFERR_PRESENT);
    const want = access === ACCESS_WRITE ? PT_ACCESSED | PT_DIRTY : PT_ACCESSED;
    const missing = want & ~entry.low;
    if (missing !== 0 && !via.setBits(entry.at, entry.entryGpa, missing)) return this.#fault(access, 0);
    this.gpa = entry.page + offset;
    return this.gpa < GFN_LIMIT * 4096 ? WALK_OK : this.#fault(access, PFERR_PRESENT | PFERR_RSVD);
  }

  #fault(access: number, code: number): number {
    // Without NX a fetch looks like a read.
    this.code = code | (access === ACCESS_WRITE ? PFERR_WRITE : 0);
    return WALK_PAGE_FAULT;
  }
}
