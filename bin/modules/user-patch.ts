/** A user's own patches: asked everything a machine will ask, before anything runs. */
import { describeFacts, factsOf, LEGAL_WORDS } from '../../engine/facts.ts';
import {
  applySeries,
  base,
  DECISION_TABLE,
  DECISIONS,
  type FaultPolicy,
  type Patch,
} from '../../engine/policy.ts';
import { firstLine, UsageError } from '../io.ts';

/** A patch has to return decisions of the seam, as functions; it is applied once, here, before anything runs. */
export function checkPatch(p: Patch, refusal: string): void {
  const where = `${refusal}: patch ${p.name}`;
  let rewritten: Partial<FaultPolicy>;
  try {
    rewritten = p.apply(base);
  } catch (error) {
    throw new UsageError(`${where}: apply() threw: ${firstLine(error)}`);
  }
  if (typeof rewritten !== 'object' || rewritten === null) {
    throw new UsageError(`${where}: apply() has to return an object of decisions`);
  }
  for (const [key, value] of Object.entries(rewritten)) {
    if (!DECISIONS.some((d) => d === key)) {
      throw new UsageError(`${where}: no decision is called '${key}' (${DECISIONS.join(', ')})`);
    }
    if (value !== undefined && typeof value !== 'function') {
      throw new UsageError(`${where}: ${key} has to be a function of the facts`);
    }
  }
}

/** The whole series has an answer to every legal fault word, as a machine will ask when it is made. */
export function checkSeries(series: readonly Patch[], refusal: string): void {
  const kvm = applySeries(series);
  for (const word of LEGAL_WORDS) {
    for (const decision of DECISIONS) {
      const { ask, answers } = DECISION_TABLE[decision];
      const complaint = complain(() => ask(kvm, factsOf(word)), answers);
      if (!complaint) continue;
      throw new UsageError(`${refusal}: ${decision}() ${complaint} for the facts '${describeFacts(word)}'`);
    }
  }
}

function complain(ask: () => readonly unknown[], verdicts: readonly unknown[]): string | undefined {
  try {
    const odd = ask().filter((answer) => !verdicts.includes(answer));
    return odd.length === 0 ? undefined : `answers ${String(odd[0])}, not one of ${verdicts.join(', ')},`;
  } catch (error) {
    return `throws '${firstLine(error)}'`;
  }
}
