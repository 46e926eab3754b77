/**
 * KVM's own walk of the guest's page tables (walk_addr_generic()): tables are read and written through the
 * VMM's mapping, like any user memory, and a bit that cannot be stored in a read-only slot is skipped.
 */
import { PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, PFERR_USER } from '../../../abi.ts';
import { F_SLOT_READONLY } from '../../../facts.ts';
import type { Regs } from '../../x86/regs.ts';
import { guestFrame } from '../slots/guest-frame.ts';
import { WALK_PAGE_FAULT, WALK_UNREACHABLE, Walk } from './guest-walk.ts';
import type { Mmu } from './mmu.ts';

const PT_DIRTY = 1 << 6;

/** A walker for KVM itself. */
export class SoftWalk {
  readonly #mmu: Mmu;
  readonly #walk = new Walk();
  /** A bit could not be stored because the table lies in a read-only slot. */
  skippedBits = false;
  /** After WALK_PAGE_FAULT: it was a table that could not be read, or a bit that could not be stored. */
  unreadable = false;
  refusedBits = false;
  /** The leaf entry is dirty after the walk. */
  leafDirty = false;
  #leafAt = 0;

  constructor(mmu: Mmu) {
    this.#mmu = mmu;
  }

  get gpa(): number {
    return this.#walk.gpa;
  }
  get code(): number {
    return this.#walk.code;
  }
  get tables(): readonly number[] {
    return this.#walk.tables;
  }
  get levels(): number {
    return this.#walk.levels;
  }
  get mem32(): Int32Array {
    return this.#mmu.vm.mem32;
  }

  /** What all levels of the walk allow. */
  get writable(): boolean {
    return this.#walk.writable;
  }
  get user(): boolean {
    return this.#walk.user;
  }
  get executable(): boolean {
    return this.#walk.executable;
  }
  /** The guest maps more than one page there with one entry. */
  get large(): boolean {
    return this.#walk.pageSize > PAGE_SIZE;
  }

  /** Translates a linear address; WALK_OK or WALK_PAGE_FAULT: a table that is not there is the guest's fault too. */
  walk(regs: Regs, linear: number, access: number, user: boolean): number {
    this.skippedBits = false;
    this.refusedBits = false;
    const result = this.#walk.walk(regs, linear % 2 ** 48, access, user, this);
    this.unreadable = result === WALK_UNREACHABLE;
    if (this.unreadable) {
      this.#walk.code = user ? PFERR_USER : 0;
      return WALK_PAGE_FAULT;
    }
    const low = this.mem32[this.#leafAt >> 2]!;
    this.leafDirty = (low & PT_DIRTY) !== 0;
    return result;
  }

  /** kvm_vcpu_gfn_to_hva_prot() and a read from user memory. */
  entryAt(gpa: number): number {
    const frame = guestFrame(this.#mmu, Math.floor(gpa / 4096), false);
    this.#leafAt = frame < 0 ? 0 : (frame << PAGE_SHIFT) | (gpa & PAGE_MASK);
    return frame < 0 ? -1 : this.#leafAt;
  }

  /** update_accessed_dirty_bits(): skipped in a read-only slot, an error where the host memory is read-only. */
  setBits(at: number, gpa: number, bits: number): boolean {
    const gfn = Math.floor(gpa / 4096);
    if ((this.#mmu.wordOf(gfn, 0) & F_SLOT_READONLY) !== 0) {
      this.skippedBits = true;
      return true;
    }
    const frame = guestFrame(this.#mmu, gfn, true);
    this.refusedBits = frame < 0;
    if (frame < 0) return false;
    this.#leafAt = (frame << PAGE_SHIFT) | (at & PAGE_MASK);
    this.mem32[this.#leafAt >> 2]! |= bits;
    return true;
  }
}
