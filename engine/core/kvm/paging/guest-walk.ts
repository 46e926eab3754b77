/**
 * Walks of the guest's own page tables: two levels, PAE, and the four of long mode, with their large pages.
 *
 * Two walkers read the same tables and differ where it matters: the processor reaches a table through stage 2
 * and always asks for write access to it (AMD nested paging), KVM's walker reads it through the VMM's mapping
 * and skips accessed and dirty bits it cannot store (walk_addr_generic(), commit ba6a35415455).
 */
import { GFN_LIMIT, PFERR_FETCH, PFERR_PRESENT, PFERR_RSVD, PFERR_USER, PFERR_WRITE } from '../../../abi.ts';
import { CR0_WP, CR4_PAE, CR4_PSE, EFER_LMA, EFER_NXE, type Regs } from '../../x86/regs.ts';

/** Guest page-table bits. */
const PT_PRESENT = 1 << 0;
const PT_WRITABLE = 1 << 1;
const PT_USER = 1 << 2;
const PT_ACCESSED = 1 << 5;
const PT_DIRTY = 1 << 6;
const PT_PAGE_SIZE = 1 << 7;
const PT_NX_HIGH = 0x80000000 | 0;
/** High half of an entry: address bits above MAXPHYADDR, which have to be 0; without long mode all above it. */
const RESERVED_HIGH = 0x000fff00;
const RESERVED_HIGH_PAE = 0x7fffff00;
const ADDRESS_HIGH = 0xff;
/** Bits of a PAE root entry that have to be 0. */
const PDPTE_RESERVED = 0x1e6;
const PSE_PAGE = 2 ** 22;

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
  /** Bytes of the page found. */
  pageSize = 0;
  /** What all entries together allow. */
  writable = false;
  user = false;
  executable = false;
  // The entry read last, and the access that the walk is for.
  #at = 0;
  #low = 0;
  #high = 0;
  #access = ACCESS_READ;
  #asUser = false;
  #regs!: Regs;
  #via!: TableAccess;

  /** Translates a linear address below 2^48 as a supervisor or a user. Returns WALK_*. */
  walk(regs: Regs, linear: number, access: number, asUser: boolean, via: TableAccess): number {
    this.levels = 0;
    this.writable = true;
    this.user = true;
    this.executable = true;
    this.#access = access;
    this.#asUser = asUser;
    this.#regs = regs;
    this.#via = via;
    if (regs.efer & EFER_LMA) return this.#wide(regs.cr3 - (regs.cr3 % 4096), linear, 4);
    if (regs.cr4 & CR4_PAE) return this.#pae(linear);
    return this.#narrow(linear);
  }

  /** Makes an entry reachable and reads it; false if its table cannot be reached. */
  #read(table: number, index: number, bytes: number): boolean {
    this.tables[this.levels++] = Math.floor(table / 4096);
    const via = this.#via;
    this.#at = via.entryAt(table + index * bytes);
    if (this.#at < 0) return false;
    this.#low = via.mem32[this.#at >> 2]!;
    this.#high = bytes === 8 ? via.mem32[(this.#at >> 2) + 1]! : 0;
    return true;
  }

  /** Entries of eight bytes, from `level` down to 1. */
  #wide(root: number, linear: number, level: number): number {
    let table = root;
    for (let l = level; l > 0; l--) {
      const size = 2 ** (12 + 9 * (l - 1));
      const index = Math.floor(linear / size) & 511;
      if (!this.#read(table, index, 8)) return WALK_UNREACHABLE;
      const reserved = this.#reservedHigh();
      if ((this.#low & PT_PRESENT) === 0) return this.#fault(0);
      if ((this.#high & reserved) !== 0 || (l === 4 && (this.#low & PT_PAGE_SIZE) !== 0))
        return this.#fault(PFERR_PRESENT | PFERR_RSVD);
      this.#narrowRights();
      const address = this.#address();
      if (l === 1 || (l < 4 && (this.#low & PT_PAGE_SIZE) !== 0)) {
        if (address % size >= 0x2000) return this.#fault(PFERR_PRESENT | PFERR_RSVD);
        return this.#leaf(table + index * 8, address - (address % size), size, linear);
      }
      if (!this.#markAccessed(table + index * 8)) return this.#fault(0);
      table = address;
    }
    return WALK_UNREACHABLE;
  }

  /** PAE without long mode: four entries without rights, then two levels. */
  #pae(linear: number): number {
    const root = this.#regs.cr3 - (this.#regs.cr3 % 32);
    if (!this.#read(root, Math.floor(linear / 2 ** 30), 8)) return WALK_UNREACHABLE;
    if ((this.#low & PT_PRESENT) === 0) return this.#fault(0);
    if ((this.#low & PDPTE_RESERVED) !== 0 || (this.#high & ~ADDRESS_HIGH) !== 0)
      return this.#fault(PFERR_PRESENT | PFERR_RSVD);
    return this.#wide(this.#address(), linear, 2);
  }

  /** Two levels of entries of four bytes; with CR4.PSE a page may have 4 MiB, and eight address bits more. */
  #narrow(linear: number): number {
    const root = this.#regs.cr3 - (this.#regs.cr3 % 4096);
    const top = Math.floor(linear / PSE_PAGE);
    if (!this.#read(root, top, 4)) return WALK_UNREACHABLE;
    if ((this.#low & PT_PRESENT) === 0) return this.#fault(0);
    this.#narrowRights();
    if (this.#low & PT_PAGE_SIZE && this.#regs.cr4 & CR4_PSE) {
      if (this.#low & (1 << 21)) return this.#fault(PFERR_PRESENT | PFERR_RSVD);
      const page = ((this.#low & 0xffc00000) >>> 0) + ((this.#low >>> 13) & 0xff) * 2 ** 32;
      return this.#leaf(root + top * 4, page, PSE_PAGE, linear);
    }
    if (!this.#markAccessed(root + top * 4)) return this.#fault(0);
    const table = (this.#low & ~0xfff) >>> 0;
    const index = Math.floor(linear / 4096) & 1023;
    if (!this.#read(table, index, 4)) return WALK_UNREACHABLE;
    if ((this.#low & PT_PRESENT) === 0) return this.#fault(0);
    this.#narrowRights();
    return this.#leaf(table + index * 4, (this.#low & ~0xfff) >>> 0, 4096, linear);
  }

  #address(): number {
    return (this.#high & ADDRESS_HIGH) * 2 ** 32 + ((this.#low & ~0xfff) >>> 0);
  }

  /** Bits of an entry's upper half that have to be 0: NX is one of them unless EFER.NXE is set. */
  #reservedHigh(): number {
    const { efer } = this.#regs;
    const nx = efer & EFER_NXE ? 0 : PT_NX_HIGH;
    // Without long mode there are no bits for software to use up there.
    return (efer & EFER_LMA ? RESERVED_HIGH : RESERVED_HIGH_PAE) | nx;
  }

  #narrowRights(): void {
    this.writable &&= (this.#low & PT_WRITABLE) !== 0;
    this.user &&= (this.#low & PT_USER) !== 0;
    this.executable &&= (this.#high & PT_NX_HIGH) === 0;
  }

  #markAccessed(gpa: number): boolean {
    return (this.#low & PT_ACCESSED) !== 0 || this.#via.setBits(this.#at, gpa, PT_ACCESSED);
  }

  #leaf(entryGpa: number, page: number, size: number, linear: number): number {
    const access = this.#access;
    const wp = this.#asUser || (this.#regs.cr0 & CR0_WP) !== 0;
    const refused =
      (this.#asUser && !this.user) ||
      (access === ACCESS_WRITE && !this.writable && wp) ||
      (access === ACCESS_FETCH && !this.executable);
    if (refused) return this.#fault(PFERR_PRESENT);
    const want = access === ACCESS_WRITE ? PT_ACCESSED | PT_DIRTY : PT_ACCESSED;
    const missing = want & ~this.#low;
    if (missing !== 0 && !this.#via.setBits(this.#at, entryGpa, missing)) return this.#fault(0);
    this.pageSize = size;
    this.gpa = page + (linear % size);
    return this.gpa < GFN_LIMIT * 4096 ? WALK_OK : this.#fault(PFERR_PRESENT | PFERR_RSVD);
  }

  #fault(code: number): number {
    const access = this.#access;
    // Without NX a fetch looks like a read.
    const fetch = access === ACCESS_FETCH && this.#regs.efer & EFER_NXE ? PFERR_FETCH : 0;
    const write = access === ACCESS_WRITE ? PFERR_WRITE : 0;
    this.code = code | write | fetch | (this.#asUser ? PFERR_USER : 0);
    return WALK_PAGE_FAULT;
  }
}
