/** How a VMM lays read-only memory out, and what it does when a store to it comes back: data, made by strategies. */
import type { SlotMemory } from './slot.ts';

/** How the VMM gives the guest a ROM: the memory behind it, and the slot if there is one. */
export interface Layout extends SlotMemory {
  /** KVM_MEM_* of the slot, or null for no slot at all: every access is MMIO. */
  readonly slotFlags: number | null;
}

/** What the VMM does when a store to the ROM comes back to it. */
export interface Answers {
  /**
   * After KVM_RUN gave -EFAULT: `die`, or `skip` the instruction (decode it at rip and step over it).
   * Default: die, for KVM says neither address nor data.
   */
  readonly onEfault?: 'die' | 'skip';
  /**
   * How the flash device takes the ROM away from the guest (command mode) and gives it back (ROMD):
   * `slot` deletes and creates the slot; `none` if the strategy sees no store it could react to.
   */
  readonly romd?: 'slot' | 'none';
}

/** A VMM: the layout it gives a ROM, and its answers. A strategy is one, with a series of patches to the kernel. */
export interface VmmPlan {
  readonly layout: Layout;
  readonly vmm?: Answers;
}
