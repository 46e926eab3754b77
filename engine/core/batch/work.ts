/** What loops did to a machine, so that two engines can be held to each other: the last events, fault words, steps. */
import { FACT_WORDS } from '../../facts.ts';
import { STEPS } from '../../steps.ts';
import { STEP_COUNTS, type Vm, WORDS } from '../vm.ts';

/** Fault words and steps that were counted, by number and by name; what was not met is left out. */
export interface Work {
  readonly words: Readonly<Record<string, number>>;
  readonly steps: Readonly<Record<string, number>>;
}

/** The counts of a heap. */
export function workOf(vm: Vm): Work {
  const words: Record<string, number> = {};
  for (let w = 0; w < FACT_WORDS; w++) if (vm.h[WORDS + w] !== 0) words[w] = vm.h[WORDS + w]!;
  const steps: Record<string, number> = {};
  STEPS.forEach((step, i) => {
    if (vm.h[STEP_COUNTS + i] !== 0) steps[step] = vm.h[STEP_COUNTS + i]!;
  });
  return { words, steps };
}

/** One number for all of it, the last events included: 24 hex digits. */
export function digestOf(vm: Vm): string {
  const [a, b] = vm.eventHash();
  let sum = 0x811c9dc5 | 0;
  for (let at = WORDS; at < STEP_COUNTS + 64; at++) sum = Math.imul(sum ^ vm.h[at]!, 0x01000193);
  return [a, b, sum].map((x) => (x >>> 0).toString(16).padStart(8, '0')).join('');
}
