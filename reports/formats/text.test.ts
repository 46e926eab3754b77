/** The terminal table and the text formats: what a reader, a spreadsheet and a CI server rely on. */
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { LINUX_61_NPT } from '../../engine/profiles/linux-6.1-npt.ts';
import { STEPS } from '../../engine/steps.ts';
import { type Comparison, findRun } from '../../scenarios/run/comparison.ts';
import { RENDERERS } from '../index.ts';
import { count, medianInterval, perOperation, stepGroup, unpricedSteps } from '../print/words.ts';
import { HOSTILE, hostile, renamed, SAMPLE_SCENARIOS, sampleComparison } from '../testing.ts';
import { CSV_COLUMNS, renderCsv } from './csv.ts';
import { githubAnnotations, githubSummary } from './github.ts';
import { renderJunit } from './junit.ts';
import { renderKtap } from './ktap.ts';
import { renderMarkdown } from './markdown.ts';
import { renderText } from './text.ts';

const full = { cost: LINUX_61_NPT, timing: true, broken: true };
const samples = {
  one: await sampleComparison(full),
  all: await sampleComparison({ ...full, scenarios: SAMPLE_SCENARIOS }),
  hostile: renamed(
    hostile(
      await sampleComparison({
        ...full,
        scenarios: ['rom-write', 'rom-read'],
        strategies: ['coexist', 'private-cow', 'efault-skip'],
      }),
    ),
    { 'private-cow': HOSTILE, 'efault-skip': '测试'.repeat(30) },
  ),
  few: await sampleComparison({
    scenarios: ['rom-write', 'rom-read'],
    strategies: ['coexist', 'private-cow'],
  }),
} satisfies Readonly<Record<string, Comparison>>;

/** Control and bidi characters, but for the newline that ends a line. */
const ESCAPE = String.fromCharCode(27);
const ACTIVE = /[\p{Cc}\p{Cf}]/u;

describe('the table', () => {
  test.each([40, 60, 72, 80, 100, 200])('no line is wider than %i columns', (width) => {
    for (const c of Object.values(samples)) {
      for (const line of renderText(c, { width }).split('\n')) {
        expect(stringWidth(line), line).toBeLessThanOrEqual(width);
        expect(line).not.toMatch(ACTIVE);
      }
    }
  });

  test('one scenario fits on one block when the terminal is wide, and nothing is lost when it is not', () => {
    const rows = (width: number): number =>
      renderText(samples.one, { width })
        .split('\n')
        .filter((l) => l.startsWith('no-slot-mmio ')).length;
    expect(rows(140)).toBe(1);
    expect(rows(80)).toBe(2);
    for (const word of ['fate', 'crash', 'exits', 'faults', 'ROM', 'steps', 'insns', 'ns'])
      expect(renderText(samples.one)).toContain(word);
  });

  test('colour only adds: without the escapes the text is the same', () => {
    const plain = renderText(samples.one);
    const coloured = renderText(samples.one, { color: true });
    expect(coloured).not.toBe(plain);
    expect(coloured.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')).toBe(plain);
  });

  test('a broken claim says what was claimed and what was seen', async () => {
    const text = renderText(await sampleComparison({ broken: true }));
    expect(text).toContain('BROKEN rom-write / coexist: fate is ok; seen: efault (commit');
    expect(text).toContain('3 of 56 claims are broken.');
  });

  test('several scenarios begin with a matrix of fates', async () => {
    const text = renderText(await sampleComparison({ scenarios: ['rom-read', 'rom-write'] }));
    expect(text).toMatch(/rom-write +EFA EFA ok/);
    expect(text).toContain('C gup-nowait-reasons');
  });

  test('an interrupted and an empty comparison say so', async () => {
    const c = await sampleComparison();
    const part = { ...c, interrupted: true, runs: c.runs.slice(0, 3) };
    expect(renderText(part)).toContain('Interrupted: 3 of 12 cells.');
    const { all } = samples;
    for (const render of [renderText, renderMarkdown])
      expect(render({ ...all, runs: [] }).match(/Nothing was run\./g)).toHaveLength(1);
    for (const render of Object.values(RENDERERS)) expect(render({ ...c, runs: [] })).toBeTruthy();
  });
});

describe('csv', () => {
  /** A small reader of RFC 4180, so that the writer does not judge itself. */
  function parse(text: string): string[][] {
    const rows: string[][] = [[]];
    for (const [, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
      rows.at(-1)?.push(quoted === undefined ? (bare ?? '') : quoted.replaceAll('""', '"'));
      if (end === '\n') rows.push([]);
    }
    return rows.slice(0, -1);
  }

  test('every row has every column, and the numbers come back', () => {
    const c = samples.one;
    const [head, ...rows] = parse(renderCsv(c));
    expect(head).toEqual([...CSV_COLUMNS]);
    for (const row of rows) expect(row).toHaveLength(CSV_COLUMNS.length);
    const run = findRun(c, 'rom-write', 'readonly-memslot')!;
    const value = (fact: string): string | undefined =>
      rows.find((r) => r[1] === run.strategy && r[4] === fact)?.[6];
    expect(value('exits.mmio-write')).toBe('256');
    expect(value('fate')).toBe('ok');
    expect(value('timing.median')).toBe(String(run.timing?.nsPerOp));
    expect(value('digest')).toBe(run.digest);
  });

  test('nothing of a run is left out, and every number has its unit', () => {
    const c = samples.one;
    const run = findRun(c, 'rom-write', 'readonly-memslot')!;
    const rows = parse(renderCsv(c)).filter((r) => r[1] === run.strategy);
    const told = new Map(rows.map((r) => [r[4], [r[5], r[6]]]));
    const all = (prefix: string, unit: string, of: Readonly<Record<string, number>>): void => {
      expect(Object.keys(of).length).toBeGreaterThan(0);
      for (const [k, n] of Object.entries(of)) expect(told.get(`${prefix}.${k}`)).toEqual([unit, String(n)]);
    };
    const timing = run.timing!;
    const { low, high } = medianInterval(timing);
    const one = (unit: string, of: Readonly<Record<string, unknown>>): void => {
      for (const [k, n] of Object.entries(of)) expect(told.get(k), k).toEqual([unit, String(n)]);
    };
    all('exits', 'exits', run.exits);
    all('faults', 'faults', run.faults!);
    all('decisions', 'decisions', run.decisions!);
    all('steps', 'steps', run.steps!);
    all('cost', 'kernel instructions', run.cost!.byStep);
    one('word', { fate: 'ok' });
    one('crashes', { crashes: 0 });
    one('yes/no', { rom_intact: 'yes' });
    one('operations', { operations: 256 });
    one('ioctls', { slot_ops: 0 });
    one('faults', { faults: 257 });
    one('steps/operation', { steps_per_op: run.stepsPerOperation });
    one('kernel instructions', { 'cost.total': run.cost!.total });
    one('kernel instructions/operation', { 'cost.per_op': run.cost!.perOperation });
    one('text', { 'cost.profile': 'linux-6.1-npt', detail: run.detail, because: run.because });
    one('ns/operation', {
      'timing.median': timing.nsPerOp,
      'timing.mad': timing.mad,
      'timing.median_low95': low,
      'timing.median_high95': high,
    });
    one('samples', { 'timing.samples': 40 });
    all('timing.sample', 'ns/operation', Object.fromEntries(timing.raw.map((n, i) => [i + 1, n])));
    expect(run.predictions.length).toBeGreaterThan(0);
    for (const p of run.predictions) {
      one('count', { [`predicted.${p.quantity}`]: p.predicted, [`measured.${p.quantity}`]: p.measured });
      one('formula', { [`formula.${p.quantity}`]: p.formula });
    }
    for (const x of run.claims) one('holds/broken', { [`claim.${x.claim}`]: 'holds' });
    one('hex', { digest: run.digest });
  });

  test('no cell begins like a formula', () => {
    const c = samples.hostile;
    for (const row of parse(renderCsv(c)))
      for (const cell of row) if (!/^-?[\d.]+$/.test(cell)) expect(cell).not.toMatch(/^[=+@\t\r-]/);
  });
});

describe('machines that read reports', () => {
  test('junit is well formed and counts its cases', () => {
    for (const c of Object.values(samples)) {
      const xml = renderJunit(c);
      const open: string[] = [];
      for (const [, end, name = '', self] of xml.matchAll(/<(\/?)([a-z-]+)(?: [a-z]+="[^"<]*")*(\/?)>/g)) {
        if (end === '/') expect(open.pop()).toBe(name);
        else if (self !== '/') open.push(name);
      }
      expect(open).toEqual([]);
      expect(xml.replaceAll(/<[^>]*>/g, '').replaceAll(/&(amp|lt|gt|quot|#39);/g, '')).not.toMatch(/[<>&]/);
      expect(xml.match(/<testcase /g)).toHaveLength(c.runs.length);
      expect(xml.match(/<failure /g) ?? []).toHaveLength(
        c.runs.filter((r) => r.claims.some((x) => x.holds === false)).length,
      );
    }
  });

  test('ktap has a plan for every level and a result for every number of it', () => {
    for (const c of Object.values(samples)) {
      const lines = renderKtap(c).trimEnd().split('\n');
      expect(lines.slice(0, 2)).toEqual(['KTAP version 1', `1..${c.scenarios.length}`]);
      const top = lines.filter((l) => /^(not )?ok /.test(l)).map((l) => Number(/\d+/.exec(l)?.[0]));
      expect(top).toEqual(c.scenarios.map((_, i) => i + 1));
      expect(lines.filter((l) => /^ {2}(not )?ok /.test(l))).toHaveLength(c.runs.length);
      for (const line of lines)
        expect(line).toMatch(/^( {2})?(KTAP version 1|1\.\.\d+|# |(not )?ok \d+ [^#]*( # SKIP .*)?$)/);
    }
  });

  test('a run without claims is skipped, not passed', async () => {
    const c = await sampleComparison({ strategies: ['coexist'] });
    const silent = { ...c, runs: c.runs.map((r) => ({ ...r, claims: [] })) };
    expect(renderKtap(silent)).toContain('ok 1 rom-write # SKIP');
    expect(renderJunit(silent)).toContain('<skipped ');
  });

  test('markdown keeps to 72 columns and has a block to paste', () => {
    for (const c of Object.values(samples)) {
      const lines = renderMarkdown(c).split('\n');
      // A name in a heading cannot be broken; everything else is.
      for (const line of lines.filter((l) => !l.startsWith('## ')))
        expect(stringWidth(line.replaceAll(/\\(?=[\\`*_[\]<>|#!~])/g, '')), line).toBeLessThanOrEqual(76);
      expect(lines).toContain('Testing:');
      expect(lines.filter((l) => l.startsWith('```')).length % 2).toBe(0);
    }
    for (const line of renderMarkdown(samples.one).split('\n'))
      expect(stringWidth(line), line).toBeLessThanOrEqual(72);
  });

  test('nothing in a report is a command to a build machine, or a link or a mention in Markdown', () => {
    for (const render of [renderText, renderMarkdown, renderCsv, renderJunit, renderKtap, githubSummary]) {
      const text = render(samples.hostile);
      expect(text).toContain('b');
      for (const line of text.split('\n')) {
        expect(line).not.toMatch(/^\s*::/);
        expect(line).not.toMatch(/##(vso)?\[/);
        expect(line).not.toMatch(ACTIVE);
      }
    }
    const prose = renderMarkdown(samples.hostile).replaceAll(/^(`{3,}).*?^\1$/gms, '');
    expect(prose).toContain('https');
    expect(prose).not.toMatch(/(?<!\\):\/\/|www\.|(?<!\\)@/);
  });

  test('github gets one annotation a broken claim, on one line', () => {
    const c = samples.hostile;
    const lines = githubAnnotations(c).trimEnd().split('\n');
    expect(lines).toHaveLength(c.runs.flatMap((r) => r.claims.filter((x) => x.holds === false)).length);
    for (const line of lines) expect(line).toMatch(/^::error title=[^:,]*::/);
    expect(githubSummary(c)).toContain('| rom-write |');
  });
});

test('same Comparison, same bytes, in every format', async () => {
  for (const render of Object.values(RENDERERS)) {
    expect(await render(samples.one)).toBe(await render(structuredClone(samples.one)));
  }
});

test('every step of the engine has a colour, and a step without a price is named', async () => {
  for (const step of STEPS) expect(stepGroup(step), step).not.toBe('other');
  expect(['of-another-version', 'toString'].map(stepGroup)).toEqual(['other', 'other']);
  const { 'mmio-exit': _, ...steps } = LINUX_61_NPT.steps;
  const cost = { ...LINUX_61_NPT, name: 'without a price', steps };
  const c = await sampleComparison({ cost, strategies: ['coexist'] });
  expect(unpricedSteps(c.runs)).toEqual(['mmio-exit']);
  expect(renderText(c, { width: 140 })).toContain('without mmio-exit, for which it has no price');
});

test('numbers are written without a locale', () => {
  expect(count(1234567)).toBe('1,234,567');
  expect(count(-1234.5)).toBe('-1,234.5');
  expect(count(Number.NaN)).toBe('?');
  expect(perOperation(12.345)).toBe('12.3');
  expect(perOperation(0.01234)).toBe('0.012');
  const { low, high } = medianInterval({ nsPerOp: 5, mad: 1, samples: 9, raw: [9, 8, 7, 6, 5, 4, 3, 2, 1] });
  expect([low, high]).toEqual([2, 8]);
});
