/** The HTML report as text: size, sameness, hostile words, ids, and that its policy allows only its own code. */
import { describe, expect, test } from 'vitest';
import { LINUX_61_NPT } from '../../engine/profiles/linux-6.1-npt.ts';
import type { Comparison } from '../../scenarios/run/comparison.ts';
import type { ThreadClaimResult } from '../findings/claims-text.ts';
import { ALL_SCENARIOS, HOSTILE, hostile, renamed, sampleComparison } from '../testing.ts';
import { commandFor } from './cells.ts';
import { foldRounds, laneOf } from './life-picture.ts';
import { renderHtml } from './page.ts';
import { idsFor } from './parts.ts';

const thread: ThreadClaimResult[] = [
  {
    id: 'cold-read-crashes',
    who: HOSTILE,
    message: HOSTILE,
    claim: HOSTILE,
    scenarios: [HOSTILE],
    strategies: ['mmap-prot-read'],
    verdict: 'holds-if',
    condition: HOSTILE,
    evidence: HOSTILE,
  },
];
const everything = await sampleComparison({ scenarios: ALL_SCENARIOS, cost: LINUX_61_NPT, timing: true });

/** Two scenarios and two strategies, one of either with a hostile name, all words hostile, a claim broken. */
const evilComparison = async (): Promise<Comparison> =>
  renamed(
    hostile(
      await sampleComparison({
        scenarios: ['rom-write', 'rom-read'],
        strategies: ['coexist', 'private-cow'],
        cost: LINUX_61_NPT,
        timing: true,
        broken: true,
      }),
    ),
    { 'private-cow': HOSTILE },
  );

/** What stands outside of the two elements whose text is not markup. */
const withoutCode = (page: string): string => page.replaceAll(/<(style|script)>[\s\S]*?<\/\1>/g, '');

describe('the HTML report', () => {
  test('of all scenarios and strategies is under 3 MB, is written at once, and is the same twice', async () => {
    const page = await renderHtml(everything);
    expect(new TextEncoder().encode(page).length).toBeLessThan(3_000_000);
    expect(await renderHtml(structuredClone(everything))).toBe(page);
  });

  test('hostile words stay text, wherever they come from', async () => {
    const c = await evilComparison();
    const evil = { ...c, command: HOSTILE, version: HOSTILE, profile: HOSTILE };
    const page = await renderHtml(evil, { thread, beside: { json: HOSTILE, csv: HOSTILE } });
    const markup = withoutCode(page);
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(markup).not.toMatch(/<img|<svg onload/);
    // Outside of quoted attribute values there is no handler and no style.
    const tags = markup.match(/<[a-z][^>]*>/g) ?? [];
    for (const tag of tags) expect(tag.replaceAll(/="[^"]*"/g, '')).not.toMatch(/\b(on[a-z]+|style|src)\b/);
    for (const c of page) expect(c === '\n' || !/[\p{Cc}\p{Cf}]/u.test(c)).toBe(true);
    expect(page).toContain('&lt;img src=x onerror=alert(1)&gt;');
  });

  test('the policy names the hash of the one style and the one script, and nothing from outside', async () => {
    const page = await renderHtml(await sampleComparison());
    const csp = /Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1]?.replaceAll('&#39;', "'") ?? '';
    expect(csp).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; base-uri 'none'/,
    );
    for (const [, name, code = ''] of page.matchAll(/<(style|script)>([\s\S]*?)<\/\1>/g)) {
      const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(code));
      expect(csp).toContain(`${name}-src 'sha256-${Buffer.from(hash).toString('base64')}'`);
    }
    expect(withoutCode(page)).not.toMatch(/https?:\/\/(?!www\.w3\.org\/)/);
  });

  test('every id is there once, and every link inside the page leads to one', async () => {
    for (const c of [everything, await evilComparison()]) {
      const page = await renderHtml(c, { thread });
      const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
      expect(new Set(ids).size).toBe(ids.length);
      for (const [, to] of page.matchAll(/ (?:xlink:)?href="#([^"]*)"/g)) expect(ids).toContain(to);
    }
  });

  test('every row of a table has a cell under every head', async () => {
    const page = await renderHtml(everything, { thread });
    for (const [, head = '', body = ''] of page.matchAll(
      /<thead>(.*?)<\/thead><tbody>([\s\S]*?)<\/tbody>/g,
    )) {
      const heads = head.match(/<t[hd][ >]/g)?.length;
      for (const row of body.split('</tr>').slice(0, -1))
        expect(row.match(/<t[hd][ >]/g)).toHaveLength(heads ?? 0);
    }
  });

  test('a part with nothing to say is left out, of the page and of its bar', async () => {
    const page = await renderHtml(await sampleComparison());
    for (const id of ['cost', 'timing', 'thread', 'broken']) expect(page).not.toContain(`href="#${id}"`);
    expect(page).toContain('href="#exits"');
    const empty = await renderHtml({
      ...(await sampleComparison()),
      runs: [],
      strategies: [],
      scenarios: [],
    });
    expect(empty).toContain('Nothing was run.');
  });
});

test('a count that is not its closed form stands out, with the number it should be', async () => {
  const c = await sampleComparison({ strategies: ['coexist'] });
  const form = {
    quantity: 'exits.mmio-write',
    formula: 'twice as many as there are stores',
    predicted: 2000,
    measured: 1000,
  };
  const page = await renderHtml({ ...c, runs: c.runs.map((r) => ({ ...r, predictions: [form] })) });
  expect(page).toContain('≠ (a) = 2,000');
  expect(page).toContain('(a) twice as many as there are stores');
  expect(page).toContain('0 of 1 counts that have a closed form equal it');
});

test('names that look alike get ids of their own', () => {
  const names = ['Rom Write', 'rom-write', 'rom_write', '', '###', 'rom-write-2'];
  const id = idsFor(names);
  expect(new Set(names.map(id)).size).toBe(names.length);
  for (const name of names) expect(id(name)).toMatch(/^[a-z0-9-]+$/);
});

test('a step is drawn in the lane of whoever acts', () => {
  expect(['guest', 'hardware', '__gfn_to_hva_many()', 'hva_to_pfn_slow()', 'KVM_RUN'].map(laneOf)).toEqual([
    0, 1, 2, 3, 4,
  ]);
  expect(['of_another_version()', 'toString'].map(laneOf)).toEqual([2, 2]);
});

test('what repeats is drawn once, and nothing is lost', () => {
  const step = (says: string) => ({ at: 'KVM_RUN', says }) as const;
  const steps = ['a', ...Array.from({ length: 5 }, () => ['b', 'c', 'd']).flat(), 'e', 'e', 'f'].map(step);
  const rounds = foldRounds(steps);
  expect(rounds.map((r) => [r.steps.map((s) => s.says).join(''), r.times])).toEqual([
    ['a', 1],
    ['bcd', 5],
    ['e', 2],
    ['f', 1],
  ]);
  expect(rounds.flatMap((r) => Array.from({ length: r.times }, () => r.steps).flat())).toEqual(steps);
  expect(foldRounds([])).toEqual([]);
});

test('a command is quoted for a shell, whatever the names hold', async () => {
  const c = renamed(hostile(await sampleComparison({ strategies: ['coexist'] })), { coexist: "it's" });
  const [scenario] = c.scenarios;
  const [run] = c.runs;
  if (scenario === undefined || run === undefined) throw new Error('no run');
  expect(commandFor(c, scenario, run)).toBe(
    String.raw`compare explain --scenario rom-write --strategy 'it'\''s' --param writes=256 --paging npt --seed 1`,
  );

  const name = 'coexist-ro-cached-mmio+gup-reasons';
  const cross = { of: 'coexist', added: ['gup-reasons'], leftOut: ['ro-cached-mmio'] };
  const crossed = { ...c, strategies: c.strategies.map((t) => ({ ...t, name, cross })) };
  expect(commandFor(crossed, scenario, { ...run, strategy: name })).toContain(
    ' --strategy coexist --with gup-reasons --without ro-cached-mmio --param ',
  );
});
