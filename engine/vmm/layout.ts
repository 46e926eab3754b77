/** How a VMM lays read-only memory out: made by strategies. */
import type { FlashModel } from './devices/cfi.ts';
import type { SlotMemory } from './slot.ts';

/** How the VMM gives the guest a ROM: the memory behind it, and the slot if there is one. */
export interface Layout extends SlotMemory {
  /** KVM_MEM_* of the slot, or null for no slot at all: every access is MMIO. */
  readonly slotFlags: number | null;
}

/** What of a VMM's plan its memory depends on; what it answers to exits is the business of answers.ts. */
export interface MemoryPlan {
  readonly layout: Layout;
  readonly vmm?: {
    /**
     * How the flash device takes the ROM away from the guest (command mode) and gives it back (ROMD):
     * `slot` deletes and creates the slot; `none` if the strategy sees no store it could react to.
     */
    readonly romd?: 'slot' | 'none';
    /** Whose flash chip it has, whatever a scenario's parameter says. */
    readonly flash?: FlashModel;
  };
}
