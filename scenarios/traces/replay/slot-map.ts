/** Slots as a log makes them: what stands behind a guest-physical address at some place in it. */
import type { SlotCall } from '../read/trace-event.ts';
import type { Access } from './access.ts';
import { isReadonly } from './memory-plan.ts';

/** What a page has: a slot that may be written, one that may not, or none. */
export type Cover = 'writable' | 'readonly' | undefined;

/** The recorded slots. Calls that were refused change nothing. */
export class SlotMap {
  readonly #slots = new Map<string, SlotCall>();

  /** Makes a call. */
  apply(call: SlotCall): void {
    if (call.ret < 0) return;
    const key = `${call.addressSpace}:${call.slot}`;
    if (call.size === 0) this.#slots.delete(key);
    else this.#slots.set(key, call);
  }

  /** Why an access cannot be made on these slots, if it cannot: memory was there that no slot here stands for. */
  whyNotReplayed({ gpa, outcome }: Access): string | undefined {
    if (outcome !== 'mapped' || this.covers(gpa) !== undefined) return undefined;
    return this.covers(gpa, 1) === undefined
      ? 'memory in the recording where no slot of the log is'
      : 'in system management mode, whose view of memory this core does not have';
  }

  /** What covers an address in the ordinary view, or in that of system management mode (1). */
  covers(gpa: number, addressSpace = 0): Cover {
    const slot = this.#slotAt(gpa, addressSpace);
    return slot === undefined ? undefined : isReadonly(slot) ? 'readonly' : 'writable';
  }

  /** What a page of the ordinary view is, in a word that changes when its memory or its rights do. */
  word(gpa: number): string {
    const slot = this.#slotAt(gpa, 0);
    return slot === undefined ? '' : `${slot.ua + gpa - slot.gpa}/${slot.flags}`;
  }

  #slotAt(gpa: number, addressSpace: number): SlotCall | undefined {
    for (const s of this.#slots.values())
      if (s.addressSpace === addressSpace && gpa >= s.gpa && gpa < s.gpa + s.size) return s;
    return undefined;
  }
}
