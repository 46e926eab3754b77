/** GitHub's ways to be told: an annotation a broken claim, and a Markdown step summary. */
import { brokenClaims, type Comparison, findRun } from '../../scenarios/run/comparison.ts';
import { markdownText, visible } from '../print/escape.ts';
import { FATE_WORDS } from '../print/words.ts';
import { verdict } from '../summary.ts';
import { testingBlock } from './markdown.ts';

/** Workflow commands, one a broken claim; print them on stdout. Empty when all claims hold. */
export function githubAnnotations(c: Comparison): string {
  return brokenClaims(c)
    .map(({ run, claim }) => {
      const title = `${run.scenario} / ${run.strategy}`;
      const message = `${claim.claim}; seen: ${claim.seen ?? 'something else'} (${claim.source})`;
      return `::error title=${property(title)}::${data(message)}\n`;
    })
    .join('');
}

const data = (s: string): string => visible(s).replaceAll('%', '%25');
const property = (s: string): string => data(s).replaceAll(':', '%3A').replaceAll(',', '%2C');

/** Markdown for $GITHUB_STEP_SUMMARY: the verdict, the fate matrix, how it was tested. */
export function githubSummary(c: Comparison): string {
  const row = (cells: readonly string[]): string => `| ${cells.map(markdownText).join(' | ')} |`;
  const rows = c.scenarios.map((s) =>
    row([s.name, ...c.strategies.map((t) => fate(findRun(c, s.name, t.name)?.fate))]),
  );
  return `${[
    ...verdict(c).map((s) => `${markdownText(s)}\n`),
    row(['scenario', ...c.strategies.map((s) => s.name)]),
    `|${' --- |'.repeat(c.strategies.length + 1)}`,
    ...rows,
    '',
    ...testingBlock(c).map((line) => `    ${line}`),
  ].join('\n')}\n`;
}

const fate = (f: keyof typeof FATE_WORDS | undefined): string =>
  f === undefined ? '–' : `${FATE_WORDS[f].icon} ${FATE_WORDS[f].word}`;
