/**
 * Shadow page tables (`npt=0`): the processor walks tables that KVM keeps, by linear page. A miss is an
 * intercepted #PF; KVM walks the guest's tables itself, sets their accessed and dirty bits where it can, and
 * either makes an entry or gives the fault to the guest.
 *
 * Ours is one flat map, emptied when memory below it changes and else of what was found through a table that changes,
 * where the kernel keeps a page per guest table and syncs it; what a guest can observe is the same, the number of later
 * faults need not be.
 * Source: arch/x86/kvm/mmu/paging_tmpl.h of Linux 6.1.
 */
import { PFERR_FETCH, PFERR_USER } from '../../../abi.ts';
import { STEP_INDEX } from '../../../steps.ts';
import type { Regs } from '../../x86/regs.ts';
import {
  type Fault,
  HOW_BITS_REFUSED,
  HOW_GUEST,
  HOW_TABLE_UNREADABLE,
  HOW_TRACKED,
} from '../fault/fault.ts';
import { V_ACTION, V_EFAULT, V_EMULATE, V_EMULATE_MMIO, V_MAP, V_WRITABLE } from '../fault/fault-path.ts';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, WALK_OK } from './guest-walk.ts';
import { type Mmu, PF_EFAULT, PF_EMULATE, PF_FIXED, PF_RETRY } from './mmu.ts';
import { directPtePrefetch } from './prefetch.ts';
import type { SoftWalk } from './soft-walk.ts';
import {
  MMIO_GEN_MASK,
  SPTE_FRAME_SHIFT,
  SPTE_MMIO,
  SPTE_NX,
  SPTE_PRESENT,
  SPTE_USER,
  SPTE_WRITE,
} from './stage2.ts';

/** The guest's own tables refuse the access: it gets the #PF (FNAME(page_fault)()). */
export const PF_INJECT = 4;

/** An entry, by linear page. */
interface ShadowEntry {
  readonly spte: number;
  readonly gfn: number;
  /** The guest's tables let it be written, its dirty bit included. */
  readonly writable: boolean;
  /** Guest frames of the tables it was found through. */
  readonly tables: readonly number[];
}

/** The shadow tables of one vCPU. */
export class ShadowTables {
  readonly #mmu: Mmu;
  readonly #regs: Regs;
  readonly #walk: SoftWalk;
  readonly #entries = new Map<number, ShadowEntry>();
  /** Direct shadow pages of the guest's large pages, by 2 MiB region: whether their entries may be writable. */
  readonly #regions = new Map<number, boolean>();
  /** Guest frames of the guest's page tables above the last level: writes to them are emulated. */
  readonly #tracked = new Set<number>();
  /** …and of the last level: writes to them are the guest's own business. */
  readonly #last = new Set<number>();

  constructor(mmu: Mmu, regs: Regs, walk: SoftWalk) {
    this.#mmu = mmu;
    this.#regs = regs;
    this.#walk = walk;
    mmu.onZap = () => this.clear();
    mmu.onWriteProtect = (gfn, npages) => this.#writeProtect(gfn, npages);
  }

  /** The entry of a linear page, 0 if there is none. */
  entry(page: number): number {
    return this.#entries.get(page)?.spte ?? 0;
  }

  /** How many entries map a page. */
  get entries(): number {
    let mapped = 0;
    for (const { spte } of this.#entries.values()) if ((spte & SPTE_PRESENT) !== 0) mapped++;
    return mapped;
  }

  /** Forgets every entry. */
  clear(): void {
    this.#entries.clear();
    this.#regions.clear();
    this.#mmu.vm.flushTlb();
  }

  /** kvm_mmu_prepare_zap_page(): what was found through a table goes, and nothing else. */
  #dropTable(gfn: number): void {
    for (const [page, { tables }] of this.#entries) {
      if (!tables.includes(gfn)) continue;
      this.#entries.delete(page);
      this.#regions.delete(Math.floor(page / 512));
    }
    this.#mmu.vm.flushTlb();
  }

  /** kvm_mmu_slot_remove_write_access() over the rmap: entries stay, write access goes. */
  #writeProtect(gfn: number, npages: number): void {
    for (const [page, entry] of this.#entries) {
      if (entry.gfn < gfn || entry.gfn >= gfn + npages) continue;
      this.#entries.set(page, { ...entry, spte: entry.spte & ~SPTE_WRITE });
    }
    this.#mmu.vm.flushTlb();
  }

  /** account_shadowed(): a table above the last level is shadowed from now on, and nobody writes it unnoticed. */
  #track(gfn: number): void {
    if (this.#tracked.has(gfn)) return;
    this.#tracked.add(gfn);
    this.#writeProtect(gfn, 1);
  }

  /** kvm_page_track_write(): KVM wrote guest memory; if it was a table, what was shadowed of it is stale. */
  onGuestWrite(gfn: number): void {
    if (this.#tracked.has(gfn) || this.#last.has(gfn)) this.#dropTable(gfn);
  }

  /** kvm_mmu_unprotect_page(): what was shadowed of this frame goes, and the guest may write it. */
  unprotect(gfn: number): void {
    const tracked = this.#tracked.delete(gfn);
    if (this.#last.delete(gfn) || tracked) this.#dropTable(gfn);
  }

  /** FNAME(page_fault)(): PF_FIXED, PF_EMULATE, PF_RETRY, PF_INJECT or PF_EFAULT. */
  pageFault(fault: Fault): number {
    const walk = this.#walk;
    const { taken, vm } = this.#mmu;
    const write = fault.write !== 0;
    vm.count(STEP_INDEX['guest-walk']);
    const access = write ? ACCESS_WRITE : fault.code & PFERR_FETCH ? ACCESS_FETCH : ACCESS_READ;
    if (walk.walk(this.#regs, fault.linear, access, (fault.code & PFERR_USER) !== 0) !== WALK_OK) {
      fault.guestCode = walk.code;
      taken.took(fault, this.#whyRefused());
      return PF_INJECT;
    }
    fault.gfn = Math.floor(walk.gpa / 4096);
    fault.skippedBits = walk.skippedBits;
    for (let i = 0; i < walk.levels; i++) {
      // The last level may go out of sync (mmu_try_to_unsync_pages()): the guest writes it as it likes.
      if (walk.large || i < walk.levels - 1) this.#track(walk.tables[i]!);
      else this.#last.add(walk.tables[i]!);
      fault.writesOwnTable ||= write && walk.tables[i] === fault.gfn;
    }
    if (!write || !this.#tracked.has(fault.gfn)) return this.#map(fault);
    taken.took(fault, HOW_TRACKED);
    return PF_EMULATE;
  }

  #whyRefused(): number {
    if (this.#walk.unreadable) return HOW_TABLE_UNREADABLE;
    return this.#walk.refusedBits ? HOW_BITS_REFUSED : HOW_GUEST;
  }

  #map(fault: Fault): number {
    const before = this.#mmu.invalidations;
    const verdict = this.#mmu.resolve(fault);
    const writable = this.#mayWrite(fault.write !== 0);
    switch (verdict & V_ACTION) {
      case V_MAP:
        if (this.#mmu.isStale(fault, before)) return PF_RETRY;
        if (!this.#walk.large) this.#install(Math.floor(fault.linear / 4096), fault, writable);
        else this.#mapLarge(fault, writable);
        return PF_FIXED;
      case V_EMULATE:
        return PF_EMULATE;
      case V_EMULATE_MMIO:
        this.#rememberMmio(fault, writable);
        return PF_EMULATE;
      case V_EFAULT:
        return PF_EFAULT;
      default:
        return PF_RETRY;
    }
  }

  #rememberMmio({ linear, gfn }: Fault, writable: boolean): void {
    const mmu = this.#mmu;
    mmu.cacheMmio(linear, gfn, writable);
    const spte = SPTE_MMIO | ((mmu.generation & MMIO_GEN_MASK) << SPTE_FRAME_SHIFT);
    this.#entries.set(Math.floor(linear / 4096), { spte, gfn, writable, tables: this.#tables() });
    mmu.mmioEntries++;
    mmu.vm.flushTlb();
  }

  #install(page: number, fault: Fault, writable: boolean): void {
    const { gfn, verdict } = fault;
    const allowed = writable && !this.#tracked.has(gfn) ? verdict : verdict & ~V_WRITABLE;
    const rights = (this.#walk.user ? SPTE_USER : 0) | (this.#walk.executable ? 0 : SPTE_NX);
    const spte = this.#mmu.makeSpte(fault, allowed) | rights;
    this.#entries.set(page, { spte, gfn, writable, tables: this.#tables() });
    this.#mmu.vm.count(STEP_INDEX['stage2-map']);
  }

  #tables(): readonly number[] {
    return this.#walk.tables.slice(0, this.#walk.levels);
  }

  /**
   * A large page of the guest over small ones of the host has a direct shadow page of its own, with one access for
   * all its entries: validate_direct_spte() drops it when the guest's dirty bit changes that. Neighbours are
   * prefetched into it.
   */
  #mapLarge(fault: Fault, writable: boolean): void {
    const page = Math.floor(fault.linear / 4096);
    const region = Math.floor(page / 512);
    const before = this.#regions.get(region);
    if (before !== undefined && before !== writable) this.#dropRegion(region);
    this.#regions.set(region, writable);
    this.#install(page, fault, writable);
    const apart = page - fault.gfn;
    directPtePrefetch(this.#mmu, fault, {
      writable,
      has: (g) => (this.entry(g + apart) & SPTE_PRESENT) !== 0,
      map: (neighbour) => this.#install(neighbour.gfn + apart, neighbour, writable),
    });
  }

  #dropRegion(region: number): void {
    for (const page of this.#entries.keys())
      if (Math.floor(page / 512) === region) this.#entries.delete(page);
    this.#mmu.vm.flushTlb();
  }

  /**
   * protect_clean_gpte(): a read of a page whose guest dirty bit is clear must not let writes through, or the
   * bit would never be set.
   */
  #mayWrite(write: boolean): boolean {
    return write || (this.#walk.leafDirty && this.#walk.writable);
  }

  /** handle_mmio_page_fault(): caches what an MMIO entry says; false if there is none, or it is stale. */
  mmioPageFault(linear: number): boolean {
    const entry = this.#entries.get(Math.floor(linear / 4096));
    if (entry === undefined || (entry.spte & SPTE_MMIO) === 0) return false;
    if (entry.spte >>> SPTE_FRAME_SHIFT !== (this.#mmu.generation & MMIO_GEN_MASK)) return false;
    this.#mmu.cacheMmio(linear, entry.gfn, entry.writable);
    return true;
  }
}
