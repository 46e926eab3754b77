/**
 * MMIO information of a vCPU (`vcpu->arch.mmio_gva`, `mmio_gfn`, `mmio_gen`): what KVM remembers of the last
 * device access, so that the next one to the page needs no look-up. Linux 6.1, arch/x86/kvm/x86.h.
 */
import { PAGE_SIZE } from '../../../abi.ts';

/** One page at a time. */
export interface MmioCache {
  /** Linear page, 0 for none; only under shadow paging. */
  gva: number;
  /** Guest frame, 0 for none. */
  gfn: number;
  /** The guest's tables allow writing there (`mmio_access`): a clean page's do not yet. */
  writable: boolean;
  generation: number;
}

/** The part of an MMU that remembers devices. */
export class MmioInfo {
  readonly mmioCache: MmioCache = { gva: 0, gfn: 0, writable: true, generation: -1 };
  /** kvm_memslots()->generation: MMIO information of another generation is stale. */
  generation = 0;
  /** tdp_enabled. */
  readonly nested: boolean;

  constructor(nested: boolean) {
    this.nested = nested;
  }

  /** vcpu_cache_mmio_info(). */
  cacheMmio(gva: number, gfn: number, writable = true): void {
    this.mmioCache.gva = this.nested ? 0 : gva - (gva % PAGE_SIZE);
    this.mmioCache.gfn = gfn;
    this.mmioCache.writable = writable;
    this.mmioCache.generation = this.generation;
  }

  /** vcpu_clear_mmio_info(): linear addresses may mean something else now. */
  clearMmio(): void {
    this.mmioCache.gva = 0;
  }

  /** vcpu_match_mmio_gpa(). */
  matchesMmioGfn(gfn: number): boolean {
    const c = this.mmioCache;
    return c.generation === this.generation && c.gfn !== 0 && c.gfn === gfn;
  }

  /** vcpu_match_mmio_gva(). */
  matchesMmioGva(gva: number): boolean {
    const c = this.mmioCache;
    return c.generation === this.generation && c.gva !== 0 && c.gva === gva - (gva % PAGE_SIZE);
  }
}
