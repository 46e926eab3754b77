/**
 * What the thread's claims came to: judged by their runs, as text and as JSON (the HTML section is in
 * html/about.ts). The claims themselves live beside the scenarios.
 */
import { EXIT_KINDS, EXITS } from '../../engine/exits.ts';
import type { ThreadClaim, Trial } from '../../scenarios/readonly-memory/thread.ts';
import type { Run } from '../../scenarios/run/comparison.ts';
import { wrap } from '../print/table.ts';
import { FATE_WORDS, hasOperations, plural, stepsPerOperation } from '../print/words.ts';

/** What a trial made of a claim. */
export type ThreadVerdict = 'holds' | 'fails' | 'holds-if';

/** One claim of the thread, tried. */
export interface ThreadClaimResult {
  /** Kebab-case name, for permalinks and scripts. */
  readonly id: string;
  /** Who said it. */
  readonly who: string;
  /** The message it is in: sender, date and place. */
  readonly message: string;
  /** The claim, in our words. */
  readonly claim: string;
  readonly scenarios: readonly string[];
  readonly strategies: readonly string[];
  readonly verdict: ThreadVerdict;
  /** For `holds-if`: the condition. */
  readonly condition?: string;
  /** What was seen in the runs, in a sentence or two. */
  readonly evidence: string;
}

/** What a trial is called in reports: the strategy, marked with patches left out, added, and other paging. */
export function trialName(t: Trial): string {
  const marks = [...(t.without ?? []).map((p) => `-${p}`), ...(t.with ?? []).map((p) => `+${p}`)];
  return t.strategy + marks.join('') + (t.paging === undefined ? '' : `@${t.paging}`);
}

/** The trials of all claims, each once: what a runner has to run before they can be judged. */
export function trialsOf(claims: readonly ThreadClaim[]): Trial[] {
  const all = claims.flatMap((c) => c.trials);
  return [...new Map(all.map((t) => [trialKey(t), t])).values()];
}

const trialKey = (t: Trial): string => JSON.stringify([t.scenario, trialName(t), t.params ?? {}]);

/**
 * Judges every claim by its runs. A run that is missing is an error: a claim must not pass, nor fail, because
 * nobody tried it.
 */
export function judgeClaims(
  claims: readonly ThreadClaim[],
  find: (trial: Trial) => Run | undefined,
): ThreadClaimResult[] {
  return claims.map((c) => {
    const runs = c.trials.map((t) => {
      const run = find(t);
      if (run === undefined)
        throw new Error(`claim ${c.id}: ${t.scenario} under ${trialName(t)} was not run`);
      return run;
    });
    const judged = c.judge(runs);
    return {
      id: c.id,
      who: c.who,
      message: c.message,
      claim: c.claim,
      scenarios: [...new Set(c.trials.map((t) => t.scenario))],
      strategies: [...new Set(c.trials.map(trialName))],
      verdict: typeof judged === 'string' ? 'holds-if' : judged ? 'holds' : 'fails',
      ...(typeof judged === 'string' ? { condition: judged } : {}),
      evidence: `${c.trials.flatMap((t, i) => saw(t, runs[i])).join('; ')}.`,
    };
  });
}

/** What one run showed: `rom-write under coexist: ok, 256 mmio-write exits, 8.05 steps/op`. */
function saw(t: Trial, run: Run | undefined): string[] {
  if (run === undefined) return [];
  const exits = EXIT_KINDS.filter((k) => run.exits[k] > 0 && EXITS[k].group !== 'call');
  const seen = [
    FATE_WORDS[run.fate].word,
    ...exits.map((k) => plural(run.exits[k], `${k} exit`)),
    ...(hasOperations(run) ? [`${stepsPerOperation(run)} steps/op`] : []),
    ...(run.romIntact ? [] : ['ROM changed']),
  ];
  return [`${t.scenario} under ${trialName(t)}: ${seen.join(', ')}`];
}

/** How a verdict is written. */
export const VERDICT_WORDS: Readonly<
  Record<ThreadVerdict, { readonly icon: string; readonly word: string }>
> = {
  holds: { icon: '✓', word: 'holds' },
  fails: { icon: '✗', word: 'fails' },
  'holds-if': { icon: '◐', word: 'holds only if' },
};

/** `11 hold, 2 fail, 3 hold only under a condition.` */
export function claimsTally(results: readonly ThreadClaimResult[]): string {
  const n = (v: ThreadVerdict): number => results.filter((r) => r.verdict === v).length;
  return `${results.length} claims of the thread: ${n('holds')} hold, ${n('fails')} fail, ${n('holds-if')} hold only under a condition.`;
}

/** The claims for a terminal. */
export function claimsText(
  results: readonly ThreadClaimResult[],
  options: { readonly width?: number } = {},
): string {
  const width = Math.max(40, options.width ?? 80);
  const each = results.flatMap((r) => {
    const { icon, word } = VERDICT_WORDS[r.verdict];
    // The condition begins with the "if" that the word alone would end with.
    const verdict = r.condition === undefined ? word : `holds only ${r.condition}`;
    return [
      ...wrap(`${icon} ${r.id}: ${r.claim}`, width, '  '),
      ...under(`${verdict}. ${r.evidence}`, width),
      ...under(`${r.who}, ${r.message}; ${r.scenarios.join(', ')} under ${r.strategies.join(', ')}`, width),
      '',
    ];
  });
  return [...each, claimsTally(results)].join('\n');
}

const under = (text: string, width: number): string[] => wrap(text, width - 4).map((line) => `    ${line}`);

/** The claims as JSON; `scenario` is the first of `scenarios`, for readers that want one. */
export function claimsJson(results: readonly ThreadClaimResult[]): string {
  const claims = results.map((r) => ({
    id: r.id,
    who: r.who,
    message: r.message,
    claim: r.claim,
    scenario: r.scenarios[0] ?? '',
    scenarios: r.scenarios,
    strategies: r.strategies,
    verdict: r.verdict,
    ...(r.condition === undefined ? {} : { condition: r.condition }),
    evidence: r.evidence,
  }));
  return `${JSON.stringify({ claims }, null, 2)}\n`;
}
