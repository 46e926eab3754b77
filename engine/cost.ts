/**
 * What a run would cost a real kernel: steps times prices. Pure, and outside the core, which only counts.
 * Prices come from a profile; `compare calibrate` fits one to measured probes (docs/costs.md).
 */
import type { Life, LifeStep, StepCounts } from './observation.ts';
import { type Step, stepNamed } from './steps.ts';

/** Prices of steps on one kernel. */
export interface CostProfile {
  /** Kebab-case: the file's name and the command line's. */
  readonly name: string;
  /** The kernel that was measured. */
  readonly kernel: string;
  /** What a price counts: `instructions`, `TSC ticks`. */
  readonly unit: string;
  /** What measuring itself adds to a probe (reading the counter twice); in no run. */
  readonly overhead: number;
  /** Price of one step. A step that is not here could not be measured. */
  readonly steps: Readonly<Partial<Record<Step, number>>>;
}

/** A run's price, split by step. */
export interface PricedSteps {
  /** The profile's name. */
  readonly profile: string;
  /** The profile's unit. */
  readonly unit: string;
  readonly total: number;
  readonly perOperation: number;
  /** By step; they add up to `total`. */
  readonly byStep: Readonly<Record<string, number>>;
  /** Steps that were taken and that the profile has no price for, with how often. */
  readonly unpriced?: Readonly<Record<string, number>>;
}

/** Prices a run: counts of steps, and the operations they served (0 counts as 1: the run died before the first). */
export function priceOf(profile: CostProfile, steps: StepCounts, operations: number): PricedSteps {
  const byStep: Record<string, number> = {};
  const unpriced: Record<string, number> = {};
  for (const [step, times] of Object.entries(steps)) {
    if (times === 0) continue;
    const price = priceOfStep(profile, step);
    if (price === undefined) unpriced[step] = times;
    else byStep[step] = price * times;
  }
  const total = Object.values(byStep).reduce((sum, n) => sum + n, 0);
  return {
    profile: profile.name,
    unit: profile.unit,
    total,
    perOperation: total / Math.max(1, operations),
    byStep,
    ...(Object.keys(unpriced).length > 0 ? { unpriced } : {}),
  };
}

/** What a probe with these steps would show, the overhead of measuring included. */
export function predictProbe(profile: CostProfile, steps: StepCounts): number {
  return profile.overhead + priceOf(profile, steps, 1).total;
}

/** The price of one step, or undefined where the profile has none. */
function priceOfStep(profile: CostProfile, step: string): number | undefined {
  const known = stepNamed(step);
  return known === undefined ? undefined : profile.steps[known];
}

/** The life of faults with a price beside every entry that did some work that has one. */
export function priceLife(profile: CostProfile, lives: readonly Life[]): readonly Life[] {
  return lives.map((life) => ({ ...life, steps: life.steps.map((step) => priceEntry(profile, step)) }));
}

function priceEntry(profile: CostProfile, step: LifeStep): LifeStep {
  const prices = (step.work ?? []).flatMap((work) => priceOfStep(profile, work) ?? []);
  if (prices.length === 0) return step;
  return { ...step, instructions: prices.reduce((sum, price) => sum + price, 0) };
}
