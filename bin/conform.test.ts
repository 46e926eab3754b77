/** `compare conform`: totals, what differs shown side by side, and what is wrong with a file of recordings. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OracleCase } from '../scenarios/conform/case.ts';
import { loadText } from '../scenarios/data/recordings.ts';
import { runCli } from './testing.ts';

let folder: string;
let recorded: OracleCase;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
  const line = loadText('kvm-6.1-cases.jsonl.gz').split('\n', 1)[0] ?? '';
  recorded = JSON.parse(line);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const conform = (...args: string[]) => runCli(['conform', ...args], { cwd: folder });

describe('the recordings that come along', () => {
  test('one family under one kernel', async () => {
    const { code, out, err } = await conform('--kernel', 'stock', '--filter', '^slots/', '--format', 'json');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const { kernels, differences } = JSON.parse(out);
    expect(Object.keys(kernels)).toEqual(['stock']);
    expect(kernels.stock.agree).toBeGreaterThan(5);
    expect(kernels.stock).toMatchObject({ cases: kernels.stock.agree, differ: 0 });
    expect(differences).toEqual([]);
  });
});

describe('a file', () => {
  test('that says something else is exit 1, and the first event that differs is marked', async () => {
    const stock = recorded.expect.stock;
    const doctored = { ...recorded, expect: { stock: { ...stock, exits: [{ r: 'SHUTDOWN' }] } } };
    await writeFile(
      join(folder, 'doctored.jsonl'),
      `${JSON.stringify(recorded)}\n${JSON.stringify(doctored)}\n`,
    );
    const { code, out } = await conform('doctored.jsonl', '--kernel', 'stock');
    expect(code).toBe(1);
    expect(out).toMatch(/→ SHUTDOWN +│ HLT/);
    expect(out).toContain('1 of 2 agree with the recorded kernels, 1 differ.');
    expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test('with an instruction that the core does not know is compared with nothing, and says so', async () => {
    // vfmadd132ps xmm0, xmm1, xmm2
    const load = [...recorded.load.filter((l) => l.gpa !== 0x1000), { gpa: 0x1000, hex: 'c4e27198c2f4' }];
    const cases = [recorded, { ...recorded, id: 'fma', mode: 'prot32', load }];
    await writeFile(join(folder, 'fma.jsonl'), cases.map((c) => JSON.stringify(c)).join('\n'));
    const { code, out } = await conform('fma.jsonl', '--kernel', 'stock');
    expect(code).toBe(2);
    expect(out).toContain('`vfmadd132ps xmm0,xmm1,xmm2` at rip');
    expect(out).toMatch(/All 1 agree.*; 1 could not be compared/s);
  });

  test('may be gzipped, whatever it is called', async () => {
    await writeFile(join(folder, 'packed'), gzipSync(JSON.stringify(recorded)));
    expect((await conform('packed', '--kernel', 'stock')).out).toContain('All 1 agree');
  });

  test.each([
    ['{}', /^compare: bad\.jsonl:1: not a recorded case: id: .*\n$/],
    ['\n{', /^compare: bad\.jsonl:2: not JSON: .*\n$/],
    ['', /^compare: bad\.jsonl: no case in it\n$/],
    ['\u001f\u008bxx', /^compare: bad\.jsonl: (damaged gzip file|bad\.jsonl:1)/],
  ])('%s is refused in one line', async (text, says) => {
    await writeFile(join(folder, 'bad.jsonl'), Buffer.from(text, 'latin1'));
    const { code, out, err } = await conform('bad.jsonl');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(says);
  });

  test.each([
    [{ optss: [] }, /Unrecognized key: "optss"/],
    [{ opts: ['cpl4'] }, /opts\[0\]: 'cpl4' is none of the options: cpl3, /],
    [{ opts: ['apf d00b f0'] }, /opts: apf needs irqchip/],
    [{ expect: { '6.13': {} } }, /expect: Unrecognized key: "6\.13"/],
    [{ expect: { '6.12': { slots: [], exits: [], errno: 0 } } }, /^compare: nothing was compared: /],
    [{ actions: [{ verb: 'delete', slot: 9 }] }, /actions\[0\]\.slot: there is no slot 9 in this case/],
    [{ load: [{ gpa: 2 ** 40, hex: '90' }] }, /load\[0\]: no slot holds these bytes/],
  ])('with %j is refused in one line', async (change, says) => {
    await writeFile(join(folder, 'bad.jsonl'), JSON.stringify({ ...recorded, ...change }));
    const { code, out, err } = await conform('bad.jsonl');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(says);
    expect(err.split('\n')).toHaveLength(2);
  });

  test('that says nothing of a kernel is not compared under it, unless that is asked for', async () => {
    const { stock } = recorded.expect;
    await writeFile(join(folder, 'stock.jsonl'), JSON.stringify({ ...recorded, expect: { stock } }));
    expect((await conform('stock.jsonl')).out).toContain('All 1 agree');
    expect((await conform('stock.jsonl', '--kernel', 'shadow')).out).toContain('All 1 agree');
  });

  test('a kernel that the core cannot be is never agreed with', async () => {
    const { code, err } = await conform('--kernel', '6.12');
    expect({ code, err }).toEqual({
      code: 2,
      err: 'compare: --kernel 6.12: it was recorded, but the core does not model it: nothing to compare\n',
    });
    const { out } = await conform('--kernel', 'stock', '--filter', '^slots/');
    expect(out.replace(/\s+/g, ' ')).toMatch(/Not modelled, so not compared: .*6\.12 \(\d+ cases recorded/);
  });

  test('and names that are not there', async () => {
    expect((await conform('--kernel', 'stok')).err).toContain('Did you mean stock?');
    expect((await conform('--filter', '(')).err).toContain('not a regular expression');
    expect((await conform('--filter', 'qqq')).err).toContain('no case has such an id');
    expect((await conform('--show', '-1')).err).toContain('--show needs a whole number');
    expect((await conform('nowhere.jsonl')).err).toBe('compare: nowhere.jsonl: no such file\n');
  });
});
