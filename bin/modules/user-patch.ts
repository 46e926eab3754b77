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
import { isPromise, promised } from '../../scenarios/language/promise.ts';
import { firstLine, textOf, UsageError } from '../io.ts';

/** A patch has to return decisions of the seam, as functions; it is applied once, here, before anything runs. */
export function checkPatch(p: Patch, refusal: string): void {
  const where = `${refusal}: patch ${p.name}`;
  let rewritten: Partial<FaultPolicy>;
  let decisions: [string, unknown][];
  try {
    rewritten = p.apply(base);
    if (isPromise(rewritten)) throw new UsageError(`${where}: ${promised('apply()')}`);
    decisions = Object.entries(rewritten ?? {});
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${where}: apply() threw: ${firstLine(error)}`);
  }
  if (typeof rewritten !== 'object' || rewritten === null) {
    throw new UsageError(`${where}: apply() has to return an object of decisions`);
  }
  for (const [key, value] of decisions) {
    if (!DECISIONS.some((d) => d === key)) {
      throw new UsageError(`${where}: no decision is called '${key}' (${DECISIONS.join(', ')})`);
    }
    if (value !== undefined && typeof value !== 'function') {
      throw new UsageError(`${where}: ${key} has to be a function of the facts`);
    }
  }
}

/**
 * The whole series has an answer to every legal fault word, as a machine will ask when it is made, and the same one when
 * it is applied and asked once more: a decision is made from the facts and from nothing else.
 */
export function checkSeries(series: readonly Patch[], refusal: string): void {
  const [first, second] = [applySeries(series), applySeries(series)];
  for (const word of LEGAL_WORDS) {
    for (const decision of DECISIONS) {
      const { ask, answers } = DECISION_TABLE[decision];
      const facts = factsOf(word);
      const complaint = complain(() => [ask(first, facts), ask(second, facts)], answers);
      if (!complaint) continue;
      throw new UsageError(`${refusal}: ${decision}() ${complaint} for the facts '${describeFacts(word)}'`);
    }
  }
}

function complain(
  ask: () => readonly [readonly unknown[], readonly unknown[]],
  verdicts: readonly unknown[],
): string | undefined {
  try {
    const [first, second] = ask();
    const odd = [...first, ...second].filter((answer) => !verdicts.includes(answer));
    if (odd.length > 0) return `answers ${textOf(odd[0])}, not one of ${verdicts.join(', ')},`;
    const other = first.findIndex((answer, i) => answer !== second[i]);
    return other < 0
      ? undefined
      : `answers ${textOf(first[other])} and then ${textOf(second[other])}; it has to be a function of the facts alone:`;
  } catch (error) {
    return `throws '${firstLine(error)}'`;
  }
}
