/**
 * What the thread's claims came to, as text and as JSON (the HTML section is in html/claims.ts). The claims
 * themselves live beside the scenarios; a report only shows results.
 */
import { visible } from './escape.ts';
import { wrap } from './table.ts';

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
    const condition = r.condition === undefined ? '' : ` ${visible(r.condition)}`;
    return [
      ...wrap(`${icon} ${r.id}: ${r.claim}`, width, '  '),
      ...under(`${word}${condition}. ${r.evidence}`, width),
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
