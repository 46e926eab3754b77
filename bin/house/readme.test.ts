/**
 * What the documents show is what the program prints. `npm run readme` writes the parts anew that come from the program:
 * those after a `<!-- from: … -->` line.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Support, surveyInstructions } from '../../engine/core/x86/insn/known-instructions.ts';
import { STEP_TABLE, STEPS } from '../../engine/steps.ts';
import { type ThreadClaimResult, VERDICT_WORDS } from '../../reports/findings/claims-text.ts';
import { KNOWN_DIFFERENCES } from '../../scenarios/conform/known-differences.ts';
import { SCENARIOS } from '../../scenarios/index.ts';
import { STRATEGIES } from '../../strategies/index.ts';
import { runCli } from '../testing.ts';

/** Documents with such parts, and the parts they have to have. */
const DOCUMENTS: Readonly<Record<string, readonly string[]>> = {
  '../../README.md': [
    'compare --scenario rom-write --no-timing',
    'strategies',
    'scenarios',
    'known differences',
  ],
  '../../docs/thread.md': ['claims'],
  '../../docs/costs.md': ['steps'],
  '../../docs/instructions.md': ['unsupported instructions', 'lacking instructions', 'executed instructions'],
};

const cell = (text: string): string => text.replaceAll('|', '\\|');
const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

/** Cases with what they have in common said once: `story/prot32/ro/r-file/`: cold-read, cold-execute. */
function byFolder(ids: readonly string[]): string {
  const folders = new Map<string, string[]>();
  for (const id of ids) {
    const cut = id.lastIndexOf('/') + 1;
    folders.set(id.slice(0, cut), [...(folders.get(id.slice(0, cut)) ?? []), id.slice(cut)]);
  }
  return [...folders].map(([folder, names]) => `\`${folder}\`: ${names.join(', ')}`).join('; ');
}

/** Instructions of one kind of support, by class; of what the processor lacks, the classes are enough. */
function instructions(support: Support): string {
  const rows = surveyInstructions().filter((c) => c[support].length > 0);
  return table(
    ['class', support === 'lacking' ? 'how many' : 'instructions'],
    rows.map((c) => [c.name, support === 'lacking' ? `${c.lacking.length}` : c[support].join(' ')]),
  );
}

/** A part of the README, made by the program. */
async function made(from: string): Promise<string> {
  if (from === 'strategies') {
    return table(
      ['strategy', 'what it is', 'stands for'],
      STRATEGIES.map((s) => [`\`${s.name}\``, s.cover, s.source]),
    );
  }
  if (from === 'scenarios') {
    return table(
      ['scenario', 'the question'],
      SCENARIOS.map((s) => [`\`${s.name}\``, s.asks]),
    );
  }
  if (from === 'steps') {
    return table(
      ['step', 'what it is', 'kernel function', 'priced'],
      STEPS.map((step) => {
        const { says, at, priced } = STEP_TABLE[step];
        return [`\`${step}\``, says, `\`${at}\``, priced ? 'yes' : 'no'];
      }),
    );
  }
  if (from.endsWith(' instructions')) return instructions(from.split(' ')[0] as Support);
  if (from === 'known differences') {
    return table(
      ['kernel', 'cases', 'reason'],
      KNOWN_DIFFERENCES.map((d) => [`\`${d.kernel}\``, byFolder(d.ids), d.reason]),
    );
  }
  if (from === 'claims') {
    const { claims } = JSON.parse((await runCli(['claims', '--format', 'json'])).out);
    return table(
      ['who', 'claim', 'verdict', 'tried by'],
      claims.map((c: ThreadClaimResult) => [
        `${c.who}, ${c.message}`,
        c.claim,
        c.condition === undefined ? VERDICT_WORDS[c.verdict].word : `holds only ${c.condition}`,
        `${c.scenarios.join(', ')} under ${c.strategies.join(', ')}`,
      ]),
    );
  }
  const { code, out, err } = await runCli(from.split(' ').slice(1));
  expect({ code, err }, from).toEqual({ code: 0, err: '' });
  return `\`\`\`\n${out.trimEnd()}\n\`\`\``;
}

test.each(Object.entries(DOCUMENTS))(
  '%s shows what the program prints (npm run readme)',
  async (path, parts) => {
    const file = new URL(path, import.meta.url);
    const before = readFileSync(file, 'utf8');
    let after = before;
    const found = [...before.matchAll(/<!-- from: (.+?) -->\n\n(```\n.*?\n```|\|.*?)\n\n/gs)];
    expect(found.map(([, from]) => from)).toEqual(parts);
    for (const [whole, from = ''] of found) {
      const part = `<!-- from: ${from} -->\n\n${await made(from)}\n\n`;
      after = after.replace(whole, () => part);
    }
    if (process.env.UPDATE_README) writeFileSync(file, after);
    else expect(before).toBe(after);
  },
);
