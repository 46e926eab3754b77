/**
 * Stage 2: the entries that map guest frames to page frames, for nested paging and for guests without paging.
 * An entry is one int: the frame above bit 11, below it what the entry allows and what KVM remembers of it.
 */
import { STEP_INDEX } from '../../../steps.ts';
import { TOP, type Vm } from '../../vm.ts';
import { regionOf } from '../slots/gfn-index.ts';

/** The processor may read and execute. */
export const SPTE_PRESENT = 1 << 0;
/** The processor may write. */
export const SPTE_WRITE = 1 << 1;
/** The host pte allowed writing when the entry was made (`shadow_host_writable_mask`). */
export const SPTE_HOST_WRITABLE = 1 << 2;
/** KVM itself would allow writing: write access was taken only for the dirty log (`shadow_mmu_writable_mask`). */
export const SPTE_MMU_WRITABLE = 1 << 3;
/** No memory here, emulate at once; the generation stands where the frame would. */
export const SPTE_MMIO = 1 << 4;
/** Entries of shadow tables alone: users may, and nobody may execute. */
export const SPTE_USER = 1 << 5;
export const SPTE_NX = 1 << 6;
/** One of the 512 pages that one entry of 2 MiB maps: they come and go together. */
export const SPTE_LARGE = 1 << 7;
export const SPTE_FRAME_SHIFT = 11;
/** Frames that a 2 MiB entry maps. */
export const LARGE_PAGES = 512;

/** MMIO entries carry as many bits of the slot generation as the kernel's (19). */
export const MMIO_GEN_MASK = 0x7ffff;

/** What fast_page_fault() may fix: write access taken for the dirty log and nothing else. */
export const SPTE_FAST_FIXABLE = SPTE_PRESENT | SPTE_HOST_WRITABLE | SPTE_MMU_WRITABLE;

const STAGE2_ZAP = STEP_INDEX['stage2-zap'];

/** Offset of the 512 entries around a gfn, 0 if none of them was ever made. */
function leafOf(vm: Vm, gfn: number): number {
  const mid = vm.h[TOP + (gfn >>> 18)]!;
  return mid === 0 ? 0 : vm.h[mid + ((gfn >>> 9) & 511) * 2]!;
}

/** The entry of a gfn, 0 if there is none. */
export function spteOf(vm: Vm, gfn: number): number {
  const leaf = leafOf(vm, gfn);
  return leaf === 0 ? 0 : vm.h[leaf + (gfn & 511)]!;
}

/** Stage-2 tables of one VM. */
export class Stage2 {
  readonly #vm: Vm;
  /** Leaves handed out, to zap them all without looking for them. */
  readonly #leaves: number[] = [];

  constructor(vm: Vm) {
    this.#vm = vm;
  }

  /** Writes an entry; 0 takes it away. */
  set(gfn: number, spte: number): void {
    const region = regionOf(this.#vm, gfn);
    let leaf = this.#vm.h[region]!;
    if (leaf === 0) {
      if (spte === 0) return;
      leaf = this.#vm.alloc(512);
      this.#vm.h[region] = leaf;
      this.#leaves.push(leaf);
    }
    this.#vm.h[leaf + (gfn & 511)] = spte;
  }

  /** An MMIO entry of this slot generation (mark_mmio_spte()). */
  setMmio(gfn: number, generation: number): void {
    this.set(gfn, SPTE_MMIO | ((generation & MMIO_GEN_MASK) << SPTE_FRAME_SHIFT));
  }

  /** check_mmio_spte(): is the MMIO entry of this generation? */
  isCurrentMmio(spte: number, generation: number): boolean {
    return spte >>> SPTE_FRAME_SHIFT === (generation & MMIO_GEN_MASK);
  }

  /** Takes entries of host pages away (notifier) and the translations cached from them; of a large one all pages. */
  zap(gfn: number, npages: number): void {
    const { h } = this.#vm;
    const last = gfn + npages - 1;
    const end = (spteOf(this.#vm, last) & SPTE_LARGE) !== 0 ? (last | (LARGE_PAGES - 1)) + 1 : last + 1;
    if ((spteOf(this.#vm, gfn) & SPTE_LARGE) !== 0) gfn &= ~(LARGE_PAGES - 1);
    let zapped = false;
    for (let g = gfn; g < end; ) {
      const leafEnd = Math.min(end, (g | 511) + 1);
      const leaf = leafOf(this.#vm, g);
      for (; leaf !== 0 && g < leafEnd; g++) {
        // An MMIO entry maps no host page: only a new slot generation ends it.
        const spte = h[leaf + (g & 511)]!;
        if ((spte & SPTE_PRESENT) === 0) continue;
        h[leaf + (g & 511)] = 0;
        if ((spte & SPTE_LARGE) === 0 || (g & 511) === 0) this.#vm.count(STAGE2_ZAP);
        zapped = true;
      }
      g = leafEnd;
    }
    if (zapped) this.#vm.flushTlb();
  }

  /** kvm_mmu_zap_all_fast(). */
  zapAll(): void {
    for (const leaf of this.#leaves) this.#vm.h.fill(0, leaf, leaf + 512);
    this.#vm.flushTlb();
  }

  /** kvm_mmu_slot_remove_write_access(): entries stay, write access goes, MMU_WRITABLE remembers it. */
  writeProtect(gfn: number, npages: number): void {
    for (let g = gfn; g < gfn + npages; g++) {
      const spte = spteOf(this.#vm, g);
      if ((spte & SPTE_WRITE) !== 0) this.set(g, spte & ~SPTE_WRITE);
    }
    this.#vm.flushTlb();
  }

  /** kvm_mmu_slot_try_split_huge_pages(): 512 entries with the same rights instead of each large one. */
  split(gfn: number, npages: number): void {
    for (let g = gfn; g < gfn + npages; g++) {
      const spte = spteOf(this.#vm, g);
      if ((spte & SPTE_LARGE) !== 0) this.set(g, spte & ~SPTE_LARGE);
    }
  }

  /** How many entries map a small page, and how many a large one. */
  count(): { readonly small: number; readonly large: number } {
    const { h } = this.#vm;
    let small = 0;
    let large = 0;
    for (const leaf of this.#leaves) {
      for (let i = 0; i < LARGE_PAGES; i++) {
        const spte = h[leaf + i]!;
        if ((spte & SPTE_PRESENT) === 0) continue;
        if ((spte & SPTE_LARGE) === 0) small++;
        else large++;
      }
    }
    return { small, large: large / LARGE_PAGES };
  }
}
