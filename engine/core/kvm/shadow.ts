/**
 * Shadow page tables (`npt=0`): the processor walks tables that KVM keeps, by linear page. A miss is an
 * intercepted #PF; KVM walks the guest's tables itself, sets their accessed and dirty bits where it can, and
 * either makes an entry or gives the fault to the guest.
 *
 * Ours is one flat map that is emptied whenever anything below it changes, where the kernel keeps a page per
 * guest table and syncs it; what a guest can observe is the same, the number of later faults is not.
 * Source: arch/x86/kvm/mmu/paging_tmpl.h of Linux 6.1.
 */
import { F_WRITE } from '../../facts.ts';
import { STEP_INDEX } from '../../steps.ts';
import type { Regs } from '../x86/regs.ts';
import { V_ACTION, V_EFAULT, V_EMULATE, V_EMULATE_MMIO, V_MAP } from './fault-path.ts';
import { ACCESS_READ, ACCESS_WRITE, WALK_OK } from './guest-walk.ts';
import { type Mmu, PF_EFAULT, PF_EMULATE, PF_FIXED, PF_RETRY } from './mmu.ts';
import { SPTE_FRAME_SHIFT, SPTE_MMIO } from './stage2.ts';
import type { SoftWalk } from './soft-walk.ts';

/** The guest's own tables refuse the access: it gets the #PF (FNAME(page_fault)()). */
export const PF_INJECT = 4;

/** The shadow tables of one vCPU. */
export class ShadowTables {
  readonly #mmu: Mmu;
  readonly #regs: Regs;
  readonly #walk: SoftWalk;
  readonly #entries = new Map<number, number>();
  /** Guest frames that hold the guest's page tables: writes to them are emulated. */
  readonly #tracked = new Set<number>();

  constructor(mmu: Mmu, regs: Regs, walk: SoftWalk) {
    this.#mmu = mmu;
    this.#regs = regs;
    this.#walk = walk;
    mmu.onZap = () => this.clear();
  }

  /** The entry of a linear page, 0 if there is none. */
  entry(page: number): number {
    return this.#entries.get(page) ?? 0;
  }

  /** Forgets every entry. */
  clear(): void {
    this.#entries.clear();
    this.#mmu.vm.flushTlb();
  }

  /** kvm_page_track_write(): KVM wrote guest memory; if it was a table, what was shadowed of it is stale. */
  onGuestWrite(gfn: number): void {
    if (this.#tracked.has(gfn)) this.clear();
  }

  /** Is the frame one of the guest's page tables? */
  isTracked(gfn: number): boolean {
    return this.#tracked.has(gfn);
  }

  /** FNAME(page_fault)(): PF_FIXED, PF_EMULATE, PF_RETRY, PF_INJECT or PF_EFAULT. */
  pageFault(linear: number, write: boolean): number {
    const walk = this.#walk;
    this.#mmu.vm.count(STEP_INDEX['guest-walk']);
    if (walk.walk(this.#regs, linear, write ? ACCESS_WRITE : ACCESS_READ) !== WALK_OK) return PF_INJECT;
    // The walk could not store an accessed or dirty bit: the entry it verifies (FNAME(gpte_changed)()) is not the
    // one it means to have made, so the guest is entered again, and faults again.
    if (walk.skippedBits) return PF_RETRY;
    for (let i = 0; i < walk.levels; i++) this.#tracked.add(walk.tables[i]!);
    const gfn = Math.floor(walk.gpa / 4096);
    if (write && this.#tracked.has(gfn)) return PF_EMULATE;
    return this.#map(linear, gfn, write);
  }

  #map(linear: number, gfn: number, write: boolean): number {
    const mmu = this.#mmu;
    const verdict = mmu.resolve(gfn, write ? F_WRITE : 0);
    const page = Math.floor(linear / 4096);
    switch (verdict & V_ACTION) {
      case V_MAP: {
        const spte = mmu.makeSpte(gfn, verdict);
        // A read of a page whose guest dirty bit is clear, or which holds tables, must not let writes through.
        const mayWrite = write || (this.#walk.leafDirty && this.#walk.leafWritable);
        const readonly = (mmu.frame << SPTE_FRAME_SHIFT) | 1;
        this.#entries.set(page, mayWrite && !this.#tracked.has(gfn) ? spte : readonly);
        mmu.vm.count(STEP_INDEX['stage2-map']);
        return PF_FIXED;
      }
      case V_EMULATE:
        return PF_EMULATE;
      case V_EMULATE_MMIO:
        mmu.cacheMmio(linear, gfn);
        this.#entries.set(page, SPTE_MMIO | ((mmu.generation & 0x7ffff) << SPTE_FRAME_SHIFT));
        mmu.vm.flushTlb();
        this.#gfnOfMmio.set(page, gfn);
        return PF_EMULATE;
      case V_EFAULT:
        return PF_EFAULT;
      default:
        return PF_RETRY;
    }
  }

  readonly #gfnOfMmio = new Map<number, number>();

  /** handle_mmio_page_fault(): the gfn an MMIO entry was made for, or -1 if the entry is stale. */
  mmioGfn(linear: number): number {
    const page = Math.floor(linear / 4096);
    const spte = this.entry(page);
    const current = spte >>> SPTE_FRAME_SHIFT === (this.#mmu.generation & 0x7ffff);
    return (spte & SPTE_MMIO) !== 0 && current ? (this.#gfnOfMmio.get(page) ?? -1) : -1;
  }
}
