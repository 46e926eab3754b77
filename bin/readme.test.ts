/**
 * What the README shows is what the program prints. `npm run readme` writes the parts anew that come from the program:
 * those after a `<!-- from: … -->` line.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SCENARIOS } from '../scenarios/index.ts';
import { STRATEGIES } from '../strategies/index.ts';
import { runCli } from './testing.ts';

const README = new URL('../README.md', import.meta.url);

const cell = (text: string): string => text.replaceAll('|', '\\|');
const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, heads.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

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
  const { code, out, err } = await runCli(from.split(' ').slice(1));
  expect({ code, err }, from).toEqual({ code: 0, err: '' });
  return `\`\`\`\n${out.trimEnd()}\n\`\`\``;
}

test('the README shows what the program prints (npm run readme writes it anew)', async () => {
  const before = readFileSync(README, 'utf8');
  let after = before;
  const parts = [...before.matchAll(/<!-- from: (.+?) -->\n\n(```\n.*?\n```|\|.*?)\n\n/gs)];
  expect(parts.map(([, from]) => from)).toEqual([
    'compare --scenario rom-write --no-timing',
    'strategies',
    'scenarios',
  ]);
  for (const [whole, from = ''] of parts) {
    const part = `<!-- from: ${from} -->\n\n${await made(from)}\n\n`;
    after = after.replace(whole, () => part);
  }
  if (process.env.UPDATE_README) writeFileSync(README, after);
  else expect(before).toBe(after);
});
