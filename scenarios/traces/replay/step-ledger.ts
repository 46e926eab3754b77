/** Who the kernel's work was done for: steps of a machine, shared out as they are counted. */
import type { Machine } from '../../../engine/machine.ts';
import type { StepCounts } from '../../../engine/observation.ts';

/**
 * `slots`: the recorded slot calls; `refaults`: pages that had been mapped before a slot call took all entries; `accesses`:
 * the other recorded accesses; `own`: what only the replay needs.
 */
export const LEDGER_PARTS = ['slots', 'refaults', 'accesses', 'own'] as const;
export type LedgerPart = (typeof LEDGER_PARTS)[number];

/** Shares out the steps of one machine. */
export class StepLedger {
  readonly steps: Record<LedgerPart, Record<string, number>> = {
    slots: {},
    refaults: {},
    accesses: {},
    own: {},
  };
  readonly #machine: Machine;
  #last: StepCounts;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#last = this.#counts();
  }

  /** What was counted since the last time belongs to this part. */
  charge(part: LedgerPart): void {
    const now = this.#counts();
    const sum = this.steps[part];
    for (const [step, n] of Object.entries(now)) {
      const since = n - (this.#last[step] ?? 0);
      if (since !== 0) sum[step] = (sum[step] ?? 0) + since;
    }
    this.#last = now;
  }

  #counts(): StepCounts {
    return (this.#machine.counts?.() ?? this.#machine.observe()).steps ?? {};
  }
}
