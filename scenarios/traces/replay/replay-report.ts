/** What a replay came to, as plain data: everything that is printed of it is made of this. */
import { PAGE_SIZE } from '../../../engine/abi.ts';
import { type CostProfile, priceOf } from '../../../engine/cost.ts';
import type { TraceSummary } from '../read/trace-reader.ts';
import type { NotReplayed } from './access.ts';
import type { Difference, HeldAgainst, Place, Tally } from './held-against.ts';
import type { PlacedBy, Placement } from './placement.ts';
import type { Replay } from './replay.ts';
import { SlotMap } from './slot-map.ts';
import { LEDGER_PARTS, type LedgerPart } from './step-ledger.ts';
import type { Survey } from './survey.ts';

/** One batch of slot calls, where it was placed and what it cost the recorded guest. */
export interface BatchReport {
  readonly calls: number;
  readonly deletions: number;
  readonly after: number;
  readonly by: PlacedBy;
  readonly shownAt?: number;
  /** Pages that had been mapped and faulted again before the next batch that deletes. */
  readonly refaults: number;
  /** Those of them whose memory or rights the batch changed: all that had to fault again. */
  readonly refaultsInside: number;
}

/** One strategy's replay. */
export interface StrategyReplay {
  readonly strategy: string;
  readonly alive: boolean;
  /** Where the recorded guest would have died. */
  readonly death?: {
    readonly line: number;
    readonly time: number;
    readonly rip: string;
    readonly gpa: string;
    readonly kind: string;
    readonly says: string;
  };
  readonly places: Readonly<Record<Place, Tally>>;
  readonly slotCalls: { readonly made: number; readonly same: number; readonly leftOut: number };
  readonly faults: number;
  readonly mmioExits: number;
  readonly romStores: number;
  readonly presentBit: number;
  readonly differences: readonly Difference[];
  readonly leftOut: readonly Difference[];
  /** Predicted instructions by what they were for. */
  readonly cost: Readonly<Record<LedgerPart, number>>;
  /** Steps the profile has no price for, without the replay's own. */
  readonly unpriced: Readonly<Record<string, number>>;
}

/** A replay under some strategies. */
export interface ReplayReport {
  readonly files: readonly { readonly path: string; readonly summary: TraceSummary }[];
  readonly slots: {
    readonly from: 'log' | 'trace' | 'made up';
    readonly calls: number;
    readonly contradictions: number;
    readonly unexplained: number;
    readonly batches: readonly BatchReport[];
  };
  readonly accesses: number;
  readonly notReplayed: Readonly<Record<NotReplayed, number>>;
  /** Answered inside the recorded kernel, pieces of string instructions beyond the first, and vCPUs. */
  readonly inKernel: number;
  readonly morePieces: number;
  readonly vcpus: number;
  readonly coldRoms: boolean;
  readonly profile: string;
  readonly unit: string;
  readonly strategies: readonly StrategyReplay[];
  /** What a slot call costs, and a fault on a page that had been mapped before; of a strategy whose VM lived. */
  readonly churn?: { readonly callPrice: number; readonly refaultPrice: number };
  readonly interrupted: boolean;
}

/** What one strategy's replay came to. */
export function strategyReplay(
  strategy: string,
  replay: Replay,
  held: HeldAgainst,
  profile: CostProfile,
): StrategyReplay {
  const priced = LEDGER_PARTS.map((part) => [part, priceOf(profile, replay.ledger.steps[part], 1)] as const);
  const unpriced: Record<string, number> = {};
  for (const [part, price] of priced)
    for (const [step, n] of Object.entries(price.unpriced ?? {}))
      if (part !== 'own') unpriced[step] = (unpriced[step] ?? 0) + n;
  const { death } = replay;
  return {
    strategy,
    alive: death === undefined,
    ...(death === undefined
      ? {}
      : {
          death: {
            line: death.access.line,
            time: death.access.time,
            rip: death.access.rip,
            gpa: death.access.gpa.toString(16),
            kind: death.access.kind,
            says: death.says,
          },
        }),
    places: held.places,
    slotCalls: { made: held.slotCalls, same: held.slotCallsSame, leftOut: held.slotCallsLeftOut },
    faults: held.faults,
    mmioExits: held.mmioExits,
    romStores: held.romStores,
    presentBit: held.presentBit,
    differences: held.differences,
    leftOut: held.leftOut,
    cost: Object.fromEntries(priced.map(([part, p]) => [part, p.total])) as Record<LedgerPart, number>,
    unpriced,
  };
}

/** Prices of one slot call and of one fault that followed a deletion, where some strategy lived to have both. */
export function churnPrices(
  batches: readonly BatchReport[],
  strategies: readonly StrategyReplay[],
): Pick<ReplayReport, 'churn'> {
  const refaults = batches.reduce((sum, b) => sum + b.refaults, 0);
  const lived = strategies.find((s) => s.alive && s.slotCalls.leftOut === 0);
  if (lived === undefined || refaults === 0) return {};
  const callPrice = lived.cost.slots / lived.slotCalls.made;
  return { churn: { callPrice, refaultPrice: lived.cost.refaults / refaults } };
}

/** Batches with the faults that followed them. */
export function batchReports({ placed }: Placement, { segments }: Survey): readonly BatchReport[] {
  const slots = new SlotMap();
  return placed.map(({ batch, after, by, shownAt }) => {
    const segment = by === 'entries that went' ? segments.findIndex((s) => s.shownAt === shownAt) : -1;
    const again = segment < 0 ? [] : refaultsIn(segments, segment);
    const before = again.map((gfn) => slots.word(gfn * PAGE_SIZE));
    for (const call of batch.calls) slots.apply(call);
    return {
      calls: batch.calls.length,
      deletions: batch.calls.filter((c) => c.size === 0).length,
      after,
      by,
      ...(shownAt === undefined ? {} : { shownAt }),
      refaults: again.length,
      refaultsInside: again.filter((gfn, i) => slots.word(gfn * PAGE_SIZE) !== before[i]).length,
    };
  });
}

/** Pages mapped in a segment that had been mapped in one before it. */
function refaultsIn(segments: Survey['segments'], index: number): readonly number[] {
  const before = segments.slice(0, index);
  return [...(segments[index]?.pages ?? [])].flatMap(([gfn, seen]) =>
    seen.mapped !== undefined && before.some((s) => s.pages.get(gfn)?.mapped !== undefined) ? [gfn] : [],
  );
}
